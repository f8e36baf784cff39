// SPDX-License-Identifier: MIT
// What is needed early: finding it in the tree, and saying where it went.
#pragma once

#include <cstdint>
#include <vector>

#include "appendix/appendix.h"
#include "pack/tree.h"
#include "squenv/pack.h"

namespace squenv::pack {

/// The regular files that `items` have ranges of, in the order of their first one, each inode once
/// by the entry that stands for it. Hard links are resolved before.
[[nodiscard]] std::vector<EntryId> find_hot_files(const Tree& tree,
                                                  const std::vector<Touch>& items);

/// Sets Node::is_hot of every directory that has something of `items` in it or below it.
void mark_hot_directories(Tree& tree, const std::vector<Touch>& items);

/// The list for the appendix: directories by path when the first thing in them is needed, ranges
/// by inode reference and cut at the end of the file, missing names that are still missing.
/// `references` are raw, by inode number - 1.
[[nodiscard]] std::vector<appendix::HotItem> hot_list_of(
    const Tree& tree, const std::vector<Touch>& items,
    const std::vector<std::uint64_t>& references);

}  // namespace squenv::pack
