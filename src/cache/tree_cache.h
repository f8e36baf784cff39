// SPDX-License-Identifier: MIT
// Unpacked images on node-local disk, for machines on which nothing can be mounted. A tree is named
// by the SHA-256 of its image, written once, and shared by all runs. It is evicted when room is
// needed and no process uses it. Before each use, a survey detects whether anything in it was
// changed or deleted. A cleaner may do so, or a job of root, which no mode stops. A damaged tree is
// unpacked anew.
//
// The lock file NAME.lock exists while a process unpacks the tree NAME; the others wait for it. It
// saves work and nothing else depends on it. entry.h describes how trees and their users are kept.
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
    std::string entry{};  ///< the entry that holds it, see entry.h
    UniqueFd lock{};      ///< the open entry
    bool is_new = false;  ///< unpacked by this call
};

/// The tree of the image `image_path`, which is open as `image`: found, or unpacked on all
/// processors. May wait for another process that unpacks it. No thread is left when it returns.
/// Errors: those of cache_directory() and cache_size_limit(); limit (too large for the cache or the
/// disk); busy (the image changes meanwhile); those of extract_tree().
[[nodiscard]] Result<CachedTree> obtain_tree(const std::string& image_path,
                                             const image::Image& image);

/// Whether the cache has or can have room for the tree. Removes nothing, and does not look whether
/// the tree is damaged. Errors: those of cache_size_limit(); limit.
[[nodiscard]] Status check_room(const std::string& image_path, const image::Image& image);

/// A line of `squenv cache list`.
struct CacheEntry {
    std::string name{};   ///< its digest
    std::string image{};  ///< path of the image it came from; "" when its record is lost
    std::uint64_t size_bytes = 0;
    std::time_t last_used = 0;
    bool is_used = false;
};
/// Most recently used first. Errors: those of cache_directory().
[[nodiscard]] Result<std::vector<CacheEntry>> list_trees();

/// Removes the trees that no process uses, and what a crash left.
[[nodiscard]] Result<std::vector<CacheEntry>> remove_unused_trees();

}  // namespace squenv::cache
