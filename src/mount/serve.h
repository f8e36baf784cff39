// SPDX-License-Identifier: MIT
// A mount that stays until somebody unmounts it.
#pragma once

#include "base/result.h"
#include "mount/request.h"

namespace squenv::mount {

/// Mounts and serves. In the background the call returns when the file system answers and a daemon
/// goes on serving; in the foreground it returns when the mount is gone.
/// Must be called before the process has threads. Errors: whatever keeps the mount from being.
[[nodiscard]] Status serve(const MountRequest& request);

}  // namespace squenv::mount
