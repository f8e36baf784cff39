// SPDX-License-Identifier: MIT
// A read-only overlay file system above a mount. The kernel asks a FUSE mount at each open of a
// module of Python before 3.14 whether that is a terminal; above an overlay it knows the answer.
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::mount {

/// Covers the mount at `mountpoint`, which becomes the lower layer. An empty layer is mounted
/// between: an overlay has two. `noexec`: no program in it may be executed. Waits until the daemon
/// of the mount answers. The caller may mount, as the user whose mount it is.
/// Errors: environment, denied and others of mount(2).
[[nodiscard]] Status mount_overlay(const std::string& mountpoint, bool noexec);

}  // namespace squenv::mount
