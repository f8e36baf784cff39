// SPDX-License-Identifier: MIT
// Whether an overlay is put above an image.
#pragma once

#include <optional>

#include "appendix/appendix.h"
#include "base/result.h"
#include "daemon/request.h"

namespace squenv::cli {

/// Turns Overlay::automatic of `request` off where an overlay is of no use, or would not show the
/// tree that `manifest` describes. Errors: invalid_argument (`on` is asked for and cannot be).
[[nodiscard]] Status choose_overlay(const std::optional<appendix::Manifest>& manifest,
                                    daemon::Request& request);

}  // namespace squenv::cli
