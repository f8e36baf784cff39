// SPDX-License-Identifier: MIT
// What a session wrote to an unpacked tree, by the times at which objects changed.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "edit/compile.h"
#include "edit/session.h"
#include "image/image.h"

namespace squenv::edit {

/// Called when the tree is unpacked and nothing was changed yet. Errors: denied, limit, io.
[[nodiscard]] Status mark_unpacked(const Session& session);

/// The number of objects that changed since; a directory changes with the names in it.
/// Errors: corrupt (no mark: the tree was not unpacked to the end), io.
[[nodiscard]] Result<std::uint64_t> count_written(const Session& session);

/// Tells which files of the session it wrote: in an upper layer those that differ in size or time
/// from that of `image`, which outlives the result; in an unpacked tree those that changed since.
[[nodiscard]] IsWritten written_files(const Session& session, const image::Image& image);

}  // namespace squenv::edit
