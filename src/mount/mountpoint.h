// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv::mount {

/// Detaches a stale FUSE mount at `path` (canonical), one whose daemon is gone. Errors: exists (a
/// living mount of this program is there), busy (it does not answer), denied.
[[nodiscard]] Status clear_mountpoint(const std::string& path);

/// After a mount at `path` (canonical) of FUSE connection `device_minor`, or an attempt that failed
/// (0): two processes that both found the path free can mount there. Errors: exists (a mount of
/// this program is there, below that connection's).
[[nodiscard]] Status check_unoccupied(const std::string& path, std::uint32_t device_minor = 0);

/// Whether this user can mount on `path`. Errors: not_found, invalid_argument (not a directory),
/// denied.
[[nodiscard]] Status check_mountpoint(const std::string& path);

/// Refuses what every program needs, this one included: "/", /dev, what lies in /proc and /sys.
/// Refuses also the directories of the dynamic loader, its libraries and fusermount3, without which
/// no program could unmount it again. For paths that the user names; see run/destination.h for
/// recorded ones. Errors: invalid_argument.
[[nodiscard]] Status check_place(const std::string& path);

/// All three checks in order. Waits half a second for a mount that is about to go.
[[nodiscard]] Status prepare_mountpoint(const std::string& path);

/// The longest part of `path` (absolute) that exists. Errors: invalid_argument (something else than
/// a directory is in the way), denied.
[[nodiscard]] Result<std::string> nearest_directory(const std::string& path);

/// True when the mount at `path` has lost its daemon.
[[nodiscard]] bool is_stale(const std::string& path);

}  // namespace squenv::mount
