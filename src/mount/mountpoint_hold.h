// SPDX-License-Identifier: MIT
// Mount points that exist for one mount, while other processes may use the same path.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// A mount point in use. Removing a directory detaches what is mounted on it in every namespace. So
/// each process that uses one holds a shared lock on it. The process that made it removes it under
/// an exclusive lock.
struct MountpointHold {
    UniqueFd lock{};                     ///< empty where directories cannot be locked
    std::vector<std::string> created{};  ///< the directories that were made, outermost first
};

/// Makes `path` (canonical) and its missing parents, and holds it. The call comes before something
/// is mounted on it. Errors: invalid_argument (something else is there), denied, io.
[[nodiscard]] Result<MountpointHold> hold_mountpoint(const std::string& path);

/// Removes the directories that a hold created, unless something is in them. Waits, without limit,
/// until no process holds the mount point. Does nothing when `created` is empty.
void remove_mountpoint(const std::vector<std::string>& created);

/// The same for a process in the background: waits also while another mount is there, which hides
/// the directory and who holds it.
void remove_mountpoint_at_last(const std::vector<std::string>& created);

/// Waits while another process holds the directory at `path`, half a second at most. It may belong
/// to an attempt to mount there, which is about to remove it.
void await_mountpoint(const std::string& path);

}  // namespace squenv::mount
