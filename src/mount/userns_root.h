// SPDX-License-Identifier: MIT
// Mount points that do not exist, or cannot be reached, and that we may not make.
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::mount {

/// In a mount namespace of the caller's own, covers the nearest
/// existing parent with a directory that has the same entries, bound from it, and the missing ones.
/// An entry that cannot be bound is passed over. A parent that may not be entered, and the mount of
/// another user, are covered with the missing entries alone: there is nothing in them for us.
/// The cover is read-only, so that nothing written there gets lost unseen.
/// Errors: invalid_argument, limit (a directory of many thousand entries), denied.
[[nodiscard]] Status cover_with_mountpoint(const std::string& path);

}  // namespace squenv::mount
