// SPDX-License-Identifier: MIT
#include "base/output_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <fstream>
#include <string_view>
#include <system_error>

namespace squenv {

namespace {

/// What Linux follows in one path, too.
constexpr int kMaxLinks = 40;

/// The target of the link at `path`; nothing when there is no link.
std::optional<std::string> target_of(const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size < 0) return std::nullopt;
    return std::string(target.data(), static_cast<std::size_t>(size));
}

}  // namespace

std::string output_directory(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> follow_links(const std::string& path) {
    if (!target_of(path)) return path;
    // The kernel is asked first: it does not follow links that others left in a directory for all.
    struct stat info {};
    const bool is_there = ::stat(path.c_str(), &info) == 0;
    if (!is_there && errno != ENOENT) return fail_errno(errno, path);
    // Links of /proc lead to pipes and sockets, which have no path.
    if (is_there && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return path;
    std::string at = path;
    for (int followed = 0;; ++followed) {
        const auto target = target_of(at);
        if (!target) return at;
        if (followed == kMaxLinks) return fail_errno(ELOOP, path);
        at = target->starts_with('/') ? *target : output_directory(at) + '/' + *target;
    }
}

std::optional<mode_t> process_umask() {
    constexpr std::string_view kField = "Umask:\t";
    constexpr int kOctal = 8;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with(kField)) continue;
        mode_t mask = 0;
        const char* end = line.data() + line.size();
        const auto [rest, error] = std::from_chars(line.data() + kField.size(), end, mask, kOctal);
        if (error != std::errc{} || rest != end) return std::nullopt;
        return mask;
    }
    return std::nullopt;
}

}  // namespace squenv
