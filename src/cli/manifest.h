// SPDX-License-Identifier: MIT
// Where an image wants to be mounted.
#pragma once

#include <string>

#include "appendix/appendix.h"
#include "base/result.h"

namespace squenv::cli {

/// Where `subdir` of the image ("" is its root) wants to be mounted; "" when it records no place.
/// Errors: corrupt (the recorded path is not absolute).
[[nodiscard]] Result<std::string> recorded_mountpoint(const appendix::Manifest& manifest,
                                                      const std::string& subdir);

/// Whether two paths, written in any way, are the same mount point.
[[nodiscard]] bool is_same_place(const std::string& one, const std::string& other);

}  // namespace squenv::cli
