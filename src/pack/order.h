// SPDX-License-Identifier: MIT
// The order pass: which file's data lies next to which.
#pragma once

#include <vector>

#include "pack/tree.h"

namespace squenv::pack {

/// Names one entry for every inode with several links: the first in path order, whatever order
/// the scan met them in. The others get `same_inode_as`.
void resolve_hard_links(Tree& tree);

/// The regular files in the order their data is stored, each inode once.
///
/// Directories follow each other in path order, and all files of one directory stay together,
/// sorted by extension and name. Within that the tree is gone through four times: compiled Python
/// modules, shared objects, Python sources, everything else. An import reads the first two kinds
/// and hardly ever the others, so it finds what it needs packed densely; and like compresses
/// better with like. `hot` come before all others, in their order, which is that of their first
/// use. Otherwise the order depends on names alone.
[[nodiscard]] std::vector<EntryId> order_files(const Tree& tree, const std::vector<EntryId>& hot);

}  // namespace squenv::pack
