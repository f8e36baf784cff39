// SPDX-License-Identifier: MIT
// Which processes are in the mount namespace of this one. The links in /proc/PID/ns are closed to
// other users; the numbers of mounts are not, and no two namespaces have one in common.
#pragma once

#include <sys/types.h>

#include <vector>

namespace squenv::system {

/// Whether `process` is in the mount namespace of the caller. False for one that cannot be seen.
[[nodiscard]] bool shares_mount_namespace(pid_t process);

/// The other processes in it, as far as /proc shows them.
[[nodiscard]] std::vector<pid_t> mount_namespace_mates();

}  // namespace squenv::system
