// SPDX-License-Identifier: MIT
// How large the packages of an environment are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pack/tree.h"

namespace squenv::cli {

/// One entry of a directory and the bytes of all regular files in it.
struct PackageSize {
    std::string name;
    std::uint64_t bytes = 0;
};

/// The entries of the directory at `path`, largest first, an inode with several links counted by
/// its first name; nothing when there is no such directory. Resolves the hard links of `tree`.
[[nodiscard]] std::vector<PackageSize> package_sizes(pack::Tree& tree, const std::string& path);

}  // namespace squenv::cli
