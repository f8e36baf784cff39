// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/result.h"

namespace squenv {

/// `path` made absolute with every symlink resolved. Errors: not_found, denied, and others of
/// realpath(3).
[[nodiscard]] Result<std::string> existing_path(const std::string& path);

/// The same, or `path` as it is when that cannot be done.
[[nodiscard]] std::string real_path(const std::string& path);

/// Whether stat(2) finds `path`.
[[nodiscard]] bool exists(const std::string& path);

/// The command that gives this user the `rights` ("r", "x", "rx") to `path`: chmod for its owner,
/// else one that the owner has to run.
[[nodiscard]] std::string permission_remedy(const std::string& path, const std::string& rights);

/// The first directory above `path` (absolute, or relative to the working directory) that this user
/// may not enter; "" when there is none.
[[nodiscard]] std::string closed_directory(const std::string& path);

}  // namespace squenv
