// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// Opens a new connection on /dev/fuse. Errors: environment (no device), denied; with the remedy.
[[nodiscard]] Result<UniqueFd> open_fuse_device();
/// The same answer without keeping the device.
[[nodiscard]] Status check_fuse_device();

}  // namespace squenv::mount
