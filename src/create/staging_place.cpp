// SPDX-License-Identifier: MIT
#include "create/staging_place.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/room.h"

namespace squenv::create {

namespace {

const char* reason_against(const StagingPlace& place) {
    if (!place.is_usable) return "cannot be written";
    return place.is_executable ? nullptr : "is mounted noexec, and no program runs from there";
}

}  // namespace

std::vector<std::string> staging_candidates(const std::string& output_directory) {
    const std::string temporary = environment_variable("TMPDIR");
    return {"/dev/shm", temporary.empty() ? "/tmp" : temporary, output_directory};
}

StagingPlace inspect_staging_place(const std::string& path) {
    StagingPlace place{path};
    struct stat info {};
    struct statvfs disk {};
    place.is_usable = ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
                      ::access(path.c_str(), R_OK | W_OK | X_OK) == 0 &&
                      ::statvfs(path.c_str(), &disk) == 0 && (disk.f_flag & ST_RDONLY) == 0;
    if (!place.is_usable) return place;
    place.is_executable = (disk.f_flag & ST_NOEXEC) == 0;
    place.free_bytes = room_in(path);
    return place;
}

Result<std::string> choose_staging_place(const std::vector<StagingPlace>& places,
                                         std::uint64_t needed) {
    const StagingPlace* largest = nullptr;
    std::string reasons;
    for (const StagingPlace& place : places) {
        if (const char* reason = reason_against(place)) {
            reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", place.path, reason);
            continue;
        }
        if (place.free_bytes >= needed) return place.path;
        if (largest == nullptr || place.free_bytes > largest->free_bytes) largest = &place;
    }
    if (largest != nullptr) return largest->path;
    return fail(Errc::denied, "no directory to make the environment in: " + reasons,
                "name one with --staging");
}

Status check_staging_place(const StagingPlace& place) {
    if (const char* reason = reason_against(place))
        return fail(Errc::denied, fmt::format("--staging {}: {}", place.path, reason),
                    "name a directory of yours on a disk of this machine");
    return {};
}

}  // namespace squenv::create
