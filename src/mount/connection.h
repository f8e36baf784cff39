// SPDX-License-Identifier: MIT
// Ending a FUSE connection from outside, when its daemon does not answer any more.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace squenv::mount {

/// The number of the connection that `device`, a descriptor of /dev/fuse, serves; 0 before it is
/// mounted, and on older kernels, which do not tell.
[[nodiscard]] std::uint32_t connection_of(int device);

/// Ends the FUSE connection `device_minor` (MountEntry::device_minor): every request under way and
/// every later one fails with ENOTCONN or ECONNABORTED. Done through fusectl, which systemd mounts
/// at /sys/fs/fuse/connections; root mounts it for itself where it is not. Connections that have
/// ended already count as success. Errors: environment (no fusectl), denied (a connection of
/// another user), both with what an administrator can do.
[[nodiscard]] Status abort_connection(std::uint32_t device_minor);

/// Whether abort_connection() can work for a connection of this user that is there.
[[nodiscard]] bool can_abort(std::uint32_t device_minor);

}  // namespace squenv::mount
