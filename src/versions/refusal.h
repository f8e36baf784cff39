// SPDX-License-Identifier: MIT
// What a user can do when the system refuses a change.
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::versions {

/// The error of a change at `path` that failed with `sys_errno`, with the next step.
[[nodiscard]] tl::unexpected<Error> refused(int sys_errno, const std::string& path);

}  // namespace squenv::versions
