// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::cli {

/// A path as the user wrote it, with the home directory for a "~" in front: no shell puts that in
/// behind a colon or an equals sign, and a directory that is called "~" invites to be removed with
/// all of a home directory. Errors: invalid_argument ("~user", or no HOME).
[[nodiscard]] Result<std::string> given_path(const std::string& text);

}  // namespace squenv::cli
