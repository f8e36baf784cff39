// SPDX-License-Identifier: MIT
#include "share/left_processes.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include "base/text.h"

namespace squenv::share {

namespace {

constexpr std::string_view kVariable = "SQUENV_MOUNTS=";
/// Reading the environment of a hanging process may block. Two seconds in total.
constexpr int kLooks = 1000;
constexpr timespec kLookPause{0, 2'000'000};

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

namespace {

/// The start of a process, in clock ticks since the machine started; 0 when it is not known.
std::uint64_t start_time(const std::string& process) {
    const std::string stat = read_text(process + "/stat");
    const auto name_end = stat.rfind(')');  // the name may contain anything
    if (name_end == std::string::npos) return 0;
    constexpr int kFieldsBetween = 20;  // the state is field 3, the start is field 22
    std::istringstream fields(stat.substr(name_end + 1));
    std::string field;
    for (int i = 0; i < kFieldsBetween && fields >> field;) ++i;
    return std::strtoull(field.c_str(), nullptr, 10);
}

/// Processes older than this one are skipped: the variable comes from another place. Examples are a
/// batch job started from a shell with the environment, and an old terminal multiplexer.
bool look_for_processes(const std::string& mountpoint, std::uint64_t since) {
    struct stat own {};
    const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &::closedir);
    if (!all || ::stat("/proc/self/ns/mnt", &own) != 0) return false;
    while (const dirent* entry = ::readdir(all.get())) {
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
        const std::string process = fmt::format("/proc/{}", entry->d_name);
        struct stat info {};
        if (::stat(process.c_str(), &info) != 0 || info.st_uid != ::geteuid()) continue;
        if (start_time(process) >= since &&
            names_mountpoint(read_text(process + "/environ"), mountpoint) &&
            is_same_namespace(process, own))
            return true;
    }
    return false;
}

}  // namespace

bool has_left_processes(const std::string& mountpoint) {
    const std::uint64_t since = start_time("/proc/self");
    const pid_t child = ::fork();
    if (child < 0) return look_for_processes(mountpoint, since);
    if (child == 0) ::_exit(look_for_processes(mountpoint, since) ? 1 : 0);
    for (int look = 0; look < kLooks; ++look) {
        int status = 0;
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child) return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        if (ended < 0 && errno != EINTR) return false;
        ::nanosleep(&kLookPause, nullptr);
    }
    ::kill(child, SIGKILL);  // reaped by init, or with the next child
    return true;
}

}  // namespace squenv::share
