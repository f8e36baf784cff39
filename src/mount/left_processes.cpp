// SPDX-License-Identifier: MIT
#include "mount/left_processes.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/escape.h"

namespace squenv::mount {

namespace {

constexpr std::string_view kVariable = "SQUENV_MOUNTS=";

bool is_same_namespace(const std::string& process, const struct stat& own) {
    struct stat other {};
    return ::stat((process + "/ns/mnt").c_str(), &other) == 0 && other.st_ino == own.st_ino &&
           other.st_dev == own.st_dev;
}

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

bool names_mountpoint(std::string_view environment, const std::string& mountpoint) {
    const std::string place = ':' + escaped(mountpoint, ",:");
    while (!environment.empty()) {
        const std::string_view variable = environment.substr(0, environment.find('\0'));
        environment.remove_prefix(std::min(environment.size(), variable.size() + 1));
        if (!variable.starts_with(kVariable)) continue;
        for (auto at = variable.find(place); at != std::string_view::npos;
             at = variable.find(place, at + 1)) {
            const auto end = at + place.size();
            const bool is_escaped = variable[at - 1] == '\\';
            if (!is_escaped && (end == variable.size() || variable[end] == ',')) return true;
        }
    }
    return false;
}

bool has_left_processes(const std::string& mountpoint) {
    struct stat own {};
    const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &::closedir);
    if (!all || ::stat("/proc/self/ns/mnt", &own) != 0) return false;
    while (const dirent* entry = ::readdir(all.get())) {
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
        const std::string process = fmt::format("/proc/{}", entry->d_name);
        struct stat info {};
        if (::stat(process.c_str(), &info) != 0 || info.st_uid != ::geteuid()) continue;
        if (names_mountpoint(read_text(process + "/environ"), mountpoint) &&
            is_same_namespace(process, own))
            return true;
    }
    return false;
}

}  // namespace squenv::mount
