// SPDX-License-Identifier: MIT
// Mounts that only the processes in a namespace of their own see.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mount/kernel_mount.h"
#include "mount/mountpoint_hold.h"
#include "system/namespaces.h"

namespace squenv::mount {

/// One such mount: a FUSE mount, or the directory `bind_source` at the mount point.
struct UsernsMount {
    KernelMount kernel{};
    std::string bind_source{};
    bool is_writable = false;  ///< a directory only; else it is bound read-only
    bool has_overlay = false;  ///< a FUSE mount only: an overlay is put above it (overlay.h)
};

/// The result. `devices` has a connection for each mount, empty for bound directories.
struct UsernsMounts {
    system::Namespaces namespaces{};
    std::vector<UniqueFd> devices{};
    std::vector<std::uint32_t> minors{};  ///< MountEntry::device_minor of each, 0 where unknown
    UniqueFd overlays{};  ///< of the process that makes overlays; empty when none is wanted
};

/// Waits until the overlays are there, which takes daemons that answer. The mounts are of use
/// without them, too. Errors: busy; those of mount_overlay().
[[nodiscard]] Status await_overlays(UsernsMounts& mounts);

inline constexpr std::size_t kMaxUsernsMounts = 32;

/// Makes new namespaces with `mounts` in them, in that order, in a process that ends afterwards.
/// The caller stays where it is, so a refusal costs nothing. A process that may mount gets a mount
/// namespace alone, and a user namespace only where that fails. Mount points that do not exist or
/// cannot be reached are covered (see userns_root.h). Before any thread exists.
/// Errors: environment or denied, with the remedy; limit.
[[nodiscard]] Result<UsernsMounts> make_userns_mounts(const std::vector<UsernsMount>& mounts);

/// Makes and holds the directory at `mountpoint` (canonical) that a userns mount is about to cover,
/// or removes a dead mount from there. Where neither is possible, nothing is held: the path is
/// covered as it is. A living mount must not be held open.
[[nodiscard]] MountpointHold hold_for_userns(const std::string& mountpoint);

}  // namespace squenv::mount
