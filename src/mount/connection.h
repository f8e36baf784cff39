// SPDX-License-Identifier: MIT
// A FUSE connection from outside: the name of its daemon, and its end when that does not answer.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv::mount {

/// The number of the connection that `device`, a descriptor of /dev/fuse, serves. It is 0
/// before the mount, and on older kernels, which do not report it.
[[nodiscard]] std::uint32_t connection_of(int device);

/// The name (system/named_socket.h) at which processes of `user` reach the daemon of a connection
/// of theirs, in any namespace.
[[nodiscard]] std::string daemon_name(std::uint32_t device_minor, uid_t user);

/// Ends the FUSE connection `device_minor` (MountEntry::device_minor): every pending and later
/// request fails with ENOTCONN or ECONNABORTED. Works through fusectl, which systemd mounts at
/// /sys/fs/fuse/connections; where it is missing, root mounts it in a namespace of its own.
/// Connections that have ended already count as success. Errors: environment (no fusectl), denied
/// (a connection of another user), both with the remedy for an administrator.
[[nodiscard]] Status abort_connection(std::uint32_t device_minor);

/// Whether abort_connection() can end an existing connection of this user.
[[nodiscard]] bool can_abort(std::uint32_t device_minor);

}  // namespace squenv::mount
