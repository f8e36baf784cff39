// SPDX-License-Identifier: MIT
// A mount that stays until somebody unmounts it.
#pragma once

#include <vector>

#include "base/result.h"
#include "daemon/request.h"

namespace squenv::daemon {

/// Mounts and serves. In the background the call returns when the file system answers and a daemon
/// goes on serving; in the foreground it returns when the mount is gone.
/// A daemon keeps none of `inherited_fds`, which the caller of the program gave it.
/// Must be called before the process has threads. Errors: whatever keeps the mount from being.
[[nodiscard]] Status serve(Request request, const std::vector<int>& inherited_fds);

}  // namespace squenv::daemon
