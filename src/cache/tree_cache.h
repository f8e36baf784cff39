// SPDX-License-Identifier: MIT
// Unpacked images on node-local disk, for machines on which nothing can be mounted. A tree is named
// by the SHA-256 of its image, written once, never changed, shared by all runs, and evicted when
// room is needed and nobody uses it.
//
// Each has a lock file NAME.lock beside the directory NAME. Whoever writes or removes the tree
// holds it exclusively, whoever uses the tree holds it shared; the kernel lets go of it with the
// last process. The file says how large the tree is and which image it came from.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/image.h"

namespace squenv::cache {

/// A tree in use: it stays for as long as `lock` is open in any process.
struct CachedTree {
    std::string path{};
    UniqueFd lock{};
    bool is_new = false;  ///< unpacked just now
};

/// The tree of the image `image_path`, which is open as `image`: found or unpacked by all
/// processors. May wait for another process that unpacks it. No thread is left when it returns.
/// Errors: those of cache_directory(); limit (too large for the cache or the disk); those of
/// extract_tree().
[[nodiscard]] Result<CachedTree> obtain_tree(const std::string& image_path,
                                             const image::Image& image);

/// A line of `squenv cache list`.
struct CacheEntry {
    std::string name{};   ///< its digest
    std::string image{};  ///< path of the image it came from
    std::uint64_t size_bytes = 0;
    std::time_t last_used = 0;
    bool is_used = false;
};
/// Most recently used first. Errors: those of cache_directory().
[[nodiscard]] Result<std::vector<CacheEntry>> list_trees();

/// Removes the trees that nobody uses, and what was left by a crash.
[[nodiscard]] Result<std::vector<CacheEntry>> remove_unused_trees();

}  // namespace squenv::cache
