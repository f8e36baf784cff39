// SPDX-License-Identifier: MIT
// The -o options of a mount, as fstab and squashfuse spell them.
#pragma once

#include <string>

#include "mount/request.h"

namespace squenv::cli {

/// What mount(8) hands to its helpers although it means nothing here, and what squashfuse takes.
struct Tolerance {
    bool of_unknown = false;  ///< its -s
    bool of_rw = false;       ///< it says rw unless fstab says ro
    bool of_subtypes = false; ///< squashfuse takes any, and so the mount is not found again
};

/// Applies "name", "name=value" or several, separated by commas. A comma or backslash inside a
/// value is escaped by a backslash. Errors: invalid_argument, naming the option.
[[nodiscard]] Status apply_mount_options(const std::string& options,
                                         mount::MountRequest& request,
                                         const Tolerance& tolerance = {});

/// "auto" or a number of bytes. Errors: invalid_argument.
[[nodiscard]] Status parse_offset(const std::string& text, image::OpenOptions& options);

/// A file name made absolute: the daemon works in another directory than its caller.
[[nodiscard]] std::string log_destination(const std::string& text);

}  // namespace squenv::cli
