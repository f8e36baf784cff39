// SPDX-License-Identifier: MIT
// Mount points that do not exist and that we may not make.
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::mount {

/// In a mount namespace of the caller's own, covers the nearest
/// existing parent with a directory that has the same entries, bound from it, and the missing ones.
/// The cover is read-only, so that nothing written there gets lost unseen.
/// Errors: invalid_argument, limit (a directory of many thousand entries), denied.
[[nodiscard]] Status cover_with_mountpoint(const std::string& path);

}  // namespace squenv::mount
