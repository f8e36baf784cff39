// SPDX-License-Identifier: MIT
#include "cache/cache_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/units.h"

namespace squenv::cache {

namespace {

constexpr std::uint64_t kDefaultLimit = 20ULL << 30;
constexpr const char* kNextStep = "name another directory in SQUENV_CACHE";

std::string chosen_path() {
    const auto variable = [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value != nullptr && value[0] == '/' ? value : "";
    };
    if (auto path = variable("SQUENV_CACHE"); !path.empty()) return path;
    if (auto path = variable("XDG_CACHE_HOME"); !path.empty()) return path + "/squenv";
    const auto temporary = variable("TMPDIR");
    return fmt::format("{}/squenv-{}", temporary.empty() ? "/tmp" : temporary, ::geteuid());
}

}  // namespace

std::string cache_path() {
    std::string chosen = std::filesystem::path(chosen_path()).lexically_normal().string();
    while (chosen.ends_with('/') && chosen.size() > 1) chosen.pop_back();
    // Not the last part: a symlink there may be somebody else's, and is refused later.
    std::error_code error;
    const std::filesystem::path path(chosen);
    const auto parent = std::filesystem::weakly_canonical(path.parent_path(), error);
    return error ? chosen : (parent / path.filename()).string();
}

Result<std::string> cache_directory() {
    const std::string path = cache_path();
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno(errno, path + ": cache directory", kNextStep);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path, kNextStep);
    // Below /tmp somebody else may have made it: what lies there would be run as us.
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022) != 0)
        return fail(Errc::denied,
                    path + ": the cache directory is not yours alone", kNextStep);
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) == 0 && (disk.f_flag & ST_NOEXEC) != 0)
        return fail(Errc::environment, path + ": is mounted noexec, no program could run from there",
                    kNextStep);
    return path;
}

Result<std::uint64_t> cache_size_limit() {
    const char* text = std::getenv("SQUENV_CACHE_SIZE");
    if (text == nullptr || *text == '\0') return kDefaultLimit;
    auto limit = parse_size(text);
    if (!limit) return with_context(limit.error(), "SQUENV_CACHE_SIZE");
    return limit;
}

}  // namespace squenv::cache
