// SPDX-License-Identifier: MIT
// A directory on a mounted file system as the source of an image.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/seen_directory.h"
#include "base/unique_fd.h"
#include "pack/source.h"

namespace squenv::pack {

/// A time of stat(2) as Node::ctime_ns has it; wraps for impossible ones.
[[nodiscard]] inline std::uint64_t time_in_ns(const timespec& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// What of the file system stays out whatever the patterns say: the image that is being replaced.
struct SkippedFile {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
};

/// Opens `path`. The options must outlive the source.
///
/// The regular files in the directory `overlay`, "" for none, are packed as if they lay at their
/// paths in the tree, in the place of files that are there. They have the owner and time of the
/// directory they come to lie in, and its permissions but for execution, so that the image depends
/// on nothing else of them than their contents; so have directories that only the overlay has.
///
/// The scan shows `observer`, which outlives it and may be null, every directory of the tree, also
/// those that the options leave out, but nothing of the overlay.
/// Errors: not_found, denied, invalid_argument (not a directory).
[[nodiscard]] Result<std::unique_ptr<Source>> open_directory_source(
    const std::string& path, const std::string& overlay, const Options& options,
    std::optional<SkippedFile> output, TreeObserver* observer = nullptr);

/// openat(2) for relative paths of any length: longer ones than PATH_MAX are walked in steps.
/// O_CLOEXEC and O_NOFOLLOW are added.
[[nodiscard]] Result<UniqueFd> open_below(int root, const std::string& path, int flags);

}  // namespace squenv::pack
