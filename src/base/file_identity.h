// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv {

/// Tells a file from every other one that may lie or have lain at its path.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size_bytes = 0;
    std::int64_t mtime_ns = 0;
    bool operator==(const FileIdentity&) const = default;
};

/// What stat(2) says of a file.
[[nodiscard]] FileIdentity identity_of(const struct stat& info);
/// The identity of the open file `descriptor`; errors name `path`. Errors: io.
[[nodiscard]] Result<FileIdentity> identify(int descriptor, const std::string& path);

}  // namespace squenv
