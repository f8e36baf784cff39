// SPDX-License-Identifier: MIT
#include "cache/cache_directory.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/units.h"

namespace squenv::cache {

namespace {

constexpr std::uint64_t kDefaultLimit = 20ULL << 30;
/// The number of attempts at a directory that other processes remove.
constexpr int kAttempts = 100;
constexpr const char* kNextStep = "name another directory in SQUENV_CACHE";
constexpr const char* kCacheVariable = "SQUENV_CACHE";
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

std::string chosen_path() {
    const auto variable = [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value != nullptr && value[0] == '/' ? value : "";
    };
    if (auto path = variable(kCacheVariable); !path.empty()) return path;
    if (auto path = variable("XDG_CACHE_HOME"); !path.empty()) return path + "/squenv";
    const auto temporary = variable("TMPDIR");
    const uid_t uid = ::geteuid();
    const auto path = fmt::format("{}/squenv-{}", temporary.empty() ? "/tmp" : temporary, uid);
    return is_taken(path) ? fmt::format("{}-{}", path, outer_uid(uid).value_or(uid)) : path;
}

/// A relative path would be another cache in each directory.
Status check_variable() {
    const char* value = std::getenv(kCacheVariable);
    if (value == nullptr || *value == '\0' || *value == '/') return {};
    return fail(Errc::invalid_argument,
                fmt::format("{}: '{}' must be an absolute path", kCacheVariable, value),
                "write it from / on");
}

Status check_mode(const std::string& path, mode_t mode, const char* danger) {
    if ((mode & kOthersWrite) == 0) return {};
    return fail(Errc::denied, fmt::format("{}: others may write there, {}", path, danger),
                fmt::format("run 'chmod go-w {}', or {}", path, kNextStep));
}

/// Checks a directory above the cache. A user who may rename its entries can put another cache
/// there.
Status check_parent(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path, kNextStep);
    if (!S_ISDIR(info.st_mode)) return fail_errno(ENOTDIR, path, kNextStep);
    // Among users that this namespace does not have, root cannot be told from others.
    const bool is_trusted =
        info.st_uid == ::geteuid() || info.st_uid == 0 || !outer_uid(info.st_uid);
    if (!is_trusted)
        return fail(Errc::denied,
                    fmt::format("{}: belongs to user {}, who could exchange the cache directory",
                                path, info.st_uid),
                    kNextStep);
    if ((info.st_mode & S_ISVTX) != 0) return {};
    return check_mode(path, info.st_mode, "and could exchange the cache directory");
}

/// Creates what is missing above `path`. Does not follow the umask, which may let a group write.
Status make_parents(const std::string& path) {
    constexpr mode_t kMode = 0755;
    std::filesystem::path at;
    for (const auto& part : std::filesystem::path(path).parent_path()) {
        at /= part;
        struct stat info {};
        if (::lstat(at.c_str(), &info) != 0 && errno == ENOENT && ::mkdir(at.c_str(), kMode) != 0 &&
            errno != EEXIST)
            return fail_errno(errno, at.string() + ": cannot be made", kNextStep);
        SQUENV_TRY(check_parent(at.string()));
    }
    return {};
}

Status check_directory(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path, kNextStep);
    // Below /tmp another user may have made it: what lies there would run as this user.
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())
        return fail(Errc::denied, path + ": the cache directory is not yours", kNextStep);
    SQUENV_TRY(check_mode(path, info.st_mode, "and what is in the cache directory is run"));
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) == 0 && (disk.f_flag & ST_NOEXEC) != 0)
        return fail(Errc::environment,
                    path + ": is mounted noexec, no program could run from there", kNextStep);
    return {};
}

}  // namespace

std::string cache_path() {
    std::string chosen = std::filesystem::path(chosen_path()).lexically_normal().string();
    while (chosen.ends_with('/') && chosen.size() > 1) chosen.pop_back();
    // Not the last part: a symlink there may be another user's, and is refused later.
    std::error_code error;
    const std::filesystem::path path(chosen);
    const auto parent = std::filesystem::weakly_canonical(path.parent_path(), error);
    return error ? chosen : (parent / path.filename()).string();
}

Result<std::string> cache_directory() {
    SQUENV_TRY(check_variable());
    std::string path = cache_path();
    SQUENV_TRY(make_parents(path));
    for (int attempt = 1;; ++attempt) {
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
            return fail_errno(errno, path + ": the cache directory cannot be made", kNextStep);
        const auto status = check_directory(path);
        if (status) return path;
        // A process that only checked for a cache has removed the empty directory.
        if (status.error().sys_errno != ENOENT || attempt == kAttempts)
            return tl::unexpected(status.error());
    }
}

Result<std::optional<std::string>> existing_cache_directory() {
    SQUENV_TRY(check_variable());
    struct stat info {};
    if (::lstat(cache_path().c_str(), &info) != 0 && errno == ENOENT) return std::nullopt;
    SQUENV_TRY_ASSIGN(auto path, cache_directory());
    return std::optional<std::string>(std::move(path));
}

Result<std::uint64_t> cache_size_limit() {
    const char* text = std::getenv("SQUENV_CACHE_SIZE");
    if (text == nullptr || *text == '\0') return kDefaultLimit;
    auto limit = parse_size(text);
    if (!limit) return with_context(limit.error(), "SQUENV_CACHE_SIZE");
    return limit;
}

}  // namespace squenv::cache
