// SPDX-License-Identifier: MIT
// The name of an image's tree in the cache. It is found through the descriptor from which the tree
// is filled: the path of the image may name another file by now.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "image/image.h"

namespace squenv::cache {

struct TreeName {
    std::string text{};
    std::string stamp{};  ///< the state of the image file then; "" for an image in no file
};

/// The SHA-256 of `image`, which was opened at `image_path`, from its beginning to the end of its
/// file: copies share a tree. When another user can change the file, a digest of what distinguishes
/// the file from all others follows. Content that changes between this look and the filling then
/// spoils no tree of another file.
/// The digest is remembered in `directory` for this state of the file, since reading takes about 2
/// s per GiB.
/// Errors: busy (the file changes), io.
[[nodiscard]] Result<TreeName> name_tree(const std::string& directory,
                                         const std::string& image_path, const image::Image& image);

/// Whether the file of `image` is what it was when `name` was found. Its times may lie, but ctime
/// cannot be set.
[[nodiscard]] bool is_unchanged(const TreeName& name, const image::Image& image);

/// True for what name_tree() returns.
[[nodiscard]] bool is_tree_name(std::string_view name);

/// Removes the remembered digests.
void forget_digests(const std::string& directory);

}  // namespace squenv::cache
