// SPDX-License-Identifier: MIT
// What a session wrote to an unpacked tree, by the times at which objects changed.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "edit/session.h"

namespace squenv::edit {

/// Called when the tree is unpacked and nothing was changed yet. Errors: denied, limit, io.
[[nodiscard]] Status mark_unpacked(const Session& session);

/// The number of objects that changed since; a directory changes with the names in it.
/// Errors: corrupt (no mark: the tree was not unpacked to the end), io.
[[nodiscard]] Result<std::uint64_t> count_written(const Session& session);

/// Seconds since 1970 from which on objects are those that the session wrote. 0 for an upper layer,
/// in which all are.
[[nodiscard]] std::int64_t written_since(const Session& session);

}  // namespace squenv::edit
