// SPDX-License-Identifier: MIT
// Mount points that do not exist, or cannot be reached, and that this process may not make.
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::mount {

/// In a mount namespace of the caller's own, covers the nearest existing parent. The cover is a
/// directory with the same entries, bound from the parent, and the missing ones. An entry that
/// cannot be bound is passed over. A parent that may not be entered, and the mount of another user,
/// get a cover with the missing entries alone: nothing in them is accessible. The cover is
/// read-only, so that nothing written there is lost silently.
/// Errors: invalid_argument, limit (a directory of many thousand entries), denied.
[[nodiscard]] Status cover_with_mountpoint(const std::string& path);

}  // namespace squenv::mount
