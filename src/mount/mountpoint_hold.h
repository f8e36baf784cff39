// SPDX-License-Identifier: MIT
// Mount points that are made for a mount and removed after it, while others may use the same path.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// A mount point in use. Removing a directory takes away what is mounted on it in every namespace,
/// so each user of one holds a shared lock on it, and whoever made it removes it under an exclusive
/// one.
struct MountpointHold {
    UniqueFd lock{};                     ///< empty where directories cannot be locked
    std::vector<std::string> created{};  ///< what was made, outermost first
};

/// Makes `path` (canonical) and its missing parents where they are missing, and holds it. To be
/// called before something is mounted on it. Errors: invalid_argument (something else is there),
/// denied, io.
[[nodiscard]] Result<MountpointHold> hold_mountpoint(const std::string& path);

/// Removes the directories that a hold created, unless something is in them. Waits until nobody
/// holds the mount point, for as long as that takes. Does nothing when `created` is empty.
void remove_mountpoint(const std::vector<std::string>& created);

/// Waits while the directory at `path` is held by another process, half a second at most: it may be
/// one that an attempt to mount there has made and is about to remove.
void await_mountpoint(const std::string& path);

}  // namespace squenv::mount
