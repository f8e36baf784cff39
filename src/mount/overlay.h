// SPDX-License-Identifier: MIT
// A read-only overlay file system above a mount. The kernel asks a FUSE mount at each open of a
// module of Python before 3.14 whether that is a terminal; above an overlay it knows the answer.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// Mounts an empty directory at `mountpoint`, for the mount that an overlay will be above: an
/// overlay has two layers, and no moment may show the empty one alone. Returns it, as a path.
/// Errors: denied, limit and others of mount(2).
[[nodiscard]] Result<UniqueFd> mount_empty_layer(const std::string& mountpoint);

/// Covers the mount at `mountpoint`, which becomes the lower layer; `empty` is the other one.
/// `noexec`: no program in it may be executed. Waits until the daemon of the mount answers. The
/// caller may mount, as the user whose mount it is.
/// Errors: environment, denied and others of mount(2).
[[nodiscard]] Status mount_overlay(const std::string& mountpoint, const UniqueFd& empty,
                                   bool noexec);

}  // namespace squenv::mount
