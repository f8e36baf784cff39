// SPDX-License-Identifier: MIT
// Directories whose content runs as this user: no other user may write there or exchange them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace squenv {

/// What a directory is for, in messages.
struct DirectoryUse {
    std::string name{};       ///< such as "cache directory"
    std::string next_step{};  ///< what else the user can do
};

/// Creates `path` (absolute) with mode 0700, and what is missing above it with mode 0755, or checks
/// what is there. The directory belongs to this user, and no other may write in it. Each directory
/// above belongs to this user or root, and others may not write there, unless it has the sticky
/// bit. Errors: denied (one of these does not hold), not_found, and others of mkdir(2).
[[nodiscard]] Status make_private_directory(const std::string& path, const DirectoryUse& use);

/// PREFIX-UID in `parent`. Where another user has that, as root of another user namespace has, it
/// is PREFIX-UID-OUTER. OUTER is the number that the user has outside of the namespace.
[[nodiscard]] std::string user_directory(const std::string& parent, const std::string& prefix);

}  // namespace squenv
