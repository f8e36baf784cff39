// SPDX-License-Identifier: MIT
// From inodes back to names.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "image/image.h"

namespace squenv::image {

/// Paths by raw inode reference.
using PathsByInode = std::unordered_map<std::uint64_t, std::string>;

/// Fills in the first path, in the order of a walk, of every inode that has a key in `paths`; "."
/// is the root. Inodes that are not in the tree keep what they have, which should be "". The walk
/// ends with the last path that is missing. Returns the first error met; what can be found beside
/// it is found. Errors: corrupt, io.
Status find_first_paths(const Image& image, PathsByInode& paths);

}  // namespace squenv::image
