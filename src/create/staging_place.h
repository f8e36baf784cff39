// SPDX-License-Identifier: MIT
// Which directory an environment is made in: the fastest one with room for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::create {

/// A directory, and what speaks for and against it.
struct StagingPlace {
    std::string path{};
    bool is_usable = false;        ///< a directory in which this user can make others
    bool is_executable = true;     ///< not mounted noexec
    std::uint64_t free_bytes = 0;  ///< for this user; of memory also what its limits leave
};

/// /dev/shm, TMPDIR or else /tmp, and the directory of the image, in this order.
[[nodiscard]] std::vector<std::string> staging_candidates(const std::string& output_directory);

/// Looks at `path` on this machine.
[[nodiscard]] StagingPlace inspect_staging_place(const std::string& path);

/// The first of `places` with `needed` bytes free. Where none has, the usable one with the most.
/// Errors: denied (none is usable), with the reasons.
[[nodiscard]] Result<std::string> choose_staging_place(const std::vector<StagingPlace>& places,
                                                       std::uint64_t needed);

/// A directory that the user names has to be usable only. Errors: denied.
[[nodiscard]] Status check_staging_place(const StagingPlace& place);

}  // namespace squenv::create
