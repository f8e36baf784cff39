// SPDX-License-Identifier: MIT
#include "cache/cache_directory.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/private_directory.h"
#include "base/units.h"

namespace squenv::cache {

namespace {

constexpr std::uint64_t kDefaultLimit = 20ULL << 30;
constexpr const char* kNextStep = "name another directory in SQUENV_CACHE";
constexpr const char* kCacheVariable = "SQUENV_CACHE";

std::string chosen_path() {
    const auto variable = [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value != nullptr && value[0] == '/' ? value : "";
    };
    if (auto path = variable(kCacheVariable); !path.empty()) return path;
    if (auto path = variable("XDG_CACHE_HOME"); !path.empty()) return path + "/squenv";
    const auto temporary = variable("TMPDIR");
    return user_directory(temporary.empty() ? "/tmp" : temporary, "squenv");
}

/// A relative path would be another cache in each directory.
Status check_variable() {
    const char* value = std::getenv(kCacheVariable);
    if (value == nullptr || *value == '\0' || *value == '/') return {};
    return fail(Errc::invalid_argument,
                fmt::format("{}: '{}' must be an absolute path", kCacheVariable, value),
                "write it from / on");
}

Status check_executable(const std::string& path) {
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
    SQUENV_TRY(make_private_directory(path, {"cache directory", kNextStep}));
    SQUENV_TRY(check_executable(path));
    return path;
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
