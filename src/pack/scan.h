// SPDX-License-Identifier: MIT
// The scan pass of a directory: every entry looked at once, on several threads, because on a
// parallel file system each look is a round trip.
#pragma once

#include "pack/directory_source.h"

namespace squenv::pack {

/// The tree under the open directory `root`, with the files under the path `overlay` (see
/// open_directory_source) unless that is empty. What cannot be looked at is named in `problems` and
/// marked as left out. `observer`, which may be null, is called as open_directory_source() says.
/// Errors: io (the root, the overlay), limit (too many files, symlink too long), cancelled.
[[nodiscard]] Result<Scanned> scan_directory(int root, const std::string& overlay,
                                             const Options& options,
                                             const std::optional<SkippedFile>& output,
                                             TreeObserver* observer);

}  // namespace squenv::pack
