// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::cli {

/// A path as the user wrote it, with the home directory for a "~" in front. No shell expands that
/// after a colon or an equals sign. Removing a directory called "~" can by mistake remove a whole
/// home directory. Errors: invalid_argument ("~user", or no HOME).
[[nodiscard]] Result<std::string> given_path(const std::string& text);

}  // namespace squenv::cli
