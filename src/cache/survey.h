// SPDX-License-Identifier: MIT
// What a tree looks like, without reading a file: enough to notice that something in it was
// deleted, added or changed.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv::cache {

/// A sum over the objects of a tree, in any order.
struct Survey {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;  ///< on disk
    std::uint64_t low = 0;    ///< the sum of 128-bit hashes, each half for itself
    std::uint64_t high = 0;

    void add(const std::string& path, const struct stat& info);
    void add(const Survey& other);
    /// Equal for two surveys of a tree without a change between them. It covers path, type, mode,
    /// size, mtime and ctime. A ctime cannot be set back, so no change of content escapes.
    [[nodiscard]] std::string fingerprint() const;
};

/// Surveys `path`, a directory, and everything below it, on all processors. No symlink is followed,
/// no file is opened. No thread is left when it returns. Errors: not_found (also of objects that
/// vanish meanwhile), io, limit.
[[nodiscard]] Result<Survey> survey_tree(const std::string& path);

}  // namespace squenv::cache
