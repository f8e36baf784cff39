// SPDX-License-Identifier: MIT
// The inode and directory tables, which are built together: a listing needs the places of its
// inodes, an inode of a directory the place of its listing.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "pack/content.h"
#include "pack/directory_table.h"
#include "pack/metadata_writer.h"
#include "pack/source.h"
#include "pack/tree.h"
#include "pack/xattr_table.h"

namespace squenv::pack {

/// uids and gids, numbered in the order of first use. Not thread-safe.
class IdTable {
  public:
    /// Errors: limit (more than 65535 different ids).
    [[nodiscard]] Result<std::uint16_t> index_of(std::uint32_t id);
    [[nodiscard]] const std::vector<std::uint32_t>& ids() const { return ids_; }

  private:
    std::vector<std::uint32_t> ids_;
    std::unordered_map<std::uint32_t, std::uint16_t> index_;
};

/// Numbers the inodes 1..n and counts their links; returns n. All inodes of one directory follow
/// each other, so that its listing needs few headers and a walk through it few metadata blocks.
[[nodiscard]] std::uint32_t number_inodes(Tree& tree);

/// The time an inode gets. `is_clamped` tells that it is not the one of the source.
[[nodiscard]] std::uint32_t mtime_of(const Node& node, const Options& options, bool& is_clamped);

struct InodeTables {
    explicit InodeTables(const codec::Compressor* compressor)
        : inodes(compressor), directories(compressor) {}

    MetadataWriter inodes;
    MetadataWriter directories;
    IdTable ids;
    std::vector<std::uint64_t> references;  ///< raw, by inode number - 1
    std::uint64_t clamped_mtimes = 0;
    std::uint32_t newest_mtime = 0;
};

/// Builds both tables for a numbered tree. Errors: limit.
[[nodiscard]] Status build_inode_tables(const Tree& tree, const Contents& contents,
                                        const Options& options, std::uint32_t inode_count,
                                        XattrTable& xattrs, InodeTables& out);

}  // namespace squenv::pack
