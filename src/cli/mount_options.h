// SPDX-License-Identifier: MIT
// The -o options of a mount, as fstab and squashfuse spell them.
#pragma once

#include <string>

#include "mount/serve.h"

namespace squenv::cli {

/// Applies "name", "name=value" or several, separated by commas. A comma or backslash inside a
/// value is escaped by a backslash. Errors: invalid_argument, naming the option.
[[nodiscard]] Status apply_mount_options(const std::string& options,
                                         mount::MountRequest& request);

/// "auto" or a number of bytes. Errors: invalid_argument.
[[nodiscard]] Status parse_offset(const std::string& text, image::OpenOptions& options);

}  // namespace squenv::cli
