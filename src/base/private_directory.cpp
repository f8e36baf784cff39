// SPDX-License-Identifier: MIT
#include "base/private_directory.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace squenv {

namespace {

/// The number of attempts at a directory that other processes remove.
constexpr int kAttempts = 100;
/// Write permission in a directory for users other than its owner.
constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;

/// The number of `uid` outside of this user namespace. Nothing when the namespace has no such user
/// and shows all of them under one number.
std::optional<uid_t> outer_uid(uid_t uid) {
    std::ifstream map("/proc/self/uid_map");
    if (!map) return uid;
    std::uint64_t inside = 0;
    std::uint64_t outside = 0;
    std::uint64_t count = 0;
    while (map >> inside >> outside >> count)
        if (uid >= inside && uid - inside < count)
            return static_cast<uid_t>(outside + (uid - inside));
    return std::nullopt;
}

bool is_taken(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 &&
           (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid());
}

Status check_mode(const std::string& path, mode_t mode, const std::string& danger,
                  const DirectoryUse& use) {
    if ((mode & kOthersWrite) == 0) return {};
    return fail(Errc::denied, fmt::format("{}: others may write there, {}", path, danger),
                fmt::format("run 'chmod go-w {}', or {}", path, use.next_step));
}

/// Checks a directory above it. A user who may rename its entries can put another one there.
Status check_parent(const std::string& path, const DirectoryUse& use) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path, use.next_step);
    if (!S_ISDIR(info.st_mode)) return fail_errno(ENOTDIR, path, use.next_step);
    // Among users that this namespace does not have, root cannot be told from others.
    const bool is_trusted =
        info.st_uid == ::geteuid() || info.st_uid == 0 || !outer_uid(info.st_uid);
    if (!is_trusted)
        return fail(Errc::denied,
                    fmt::format("{}: belongs to user {}, who could exchange the {}", path,
                                info.st_uid, use.name),
                    use.next_step);
    if ((info.st_mode & S_ISVTX) != 0) return {};
    return check_mode(path, info.st_mode, "and could exchange the " + use.name, use);
}

/// Creates what is missing above `path`. Does not follow the umask, which may let a group write.
Status make_parents(const std::string& path, const DirectoryUse& use) {
    constexpr mode_t kMode = 0755;
    std::filesystem::path at;
    for (const auto& part : std::filesystem::path(path).parent_path()) {
        at /= part;
        struct stat info {};
        if (::lstat(at.c_str(), &info) != 0 && errno == ENOENT && ::mkdir(at.c_str(), kMode) != 0 &&
            errno != EEXIST)
            return fail_errno(errno, at.string() + ": cannot be made", use.next_step);
        SQUENV_TRY(check_parent(at.string(), use));
    }
    return {};
}

Status check_directory(const std::string& path, const DirectoryUse& use) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path, use.next_step);
    // Below /tmp another user may have made it: what lies there would run as this user.
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())
        return fail(Errc::denied, fmt::format("{}: the {} is not yours", path, use.name),
                    use.next_step);
    return check_mode(path, info.st_mode, fmt::format("and what is in the {} is run", use.name),
                      use);
}

}  // namespace

std::string user_directory(const std::string& parent, const std::string& prefix) {
    const uid_t uid = ::geteuid();
    const auto path = fmt::format("{}/{}-{}", parent, prefix, uid);
    return is_taken(path) ? fmt::format("{}-{}", path, outer_uid(uid).value_or(uid)) : path;
}

Status make_private_directory(const std::string& path, const DirectoryUse& use) {
    SQUENV_TRY(make_parents(path, use));
    for (int attempt = 1;; ++attempt) {
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
            return fail_errno(errno, fmt::format("{}: the {} cannot be made", path, use.name),
                              use.next_step);
        auto status = check_directory(path, use);
        // A process that only checked for the directory has removed it while it was empty.
        if (status || status.error().sys_errno != ENOENT || attempt == kAttempts) return status;
    }
}

}  // namespace squenv
