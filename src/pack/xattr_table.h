// SPDX-License-Identifier: MIT
// The xattr table: sets in the order inodes first use them, long values stored once.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "format/tables.h"
#include "pack/metadata_writer.h"
#include "pack/xattrs.h"

namespace squenv::pack {

/// Not thread-safe. `sets` and the compressor outlive the table.
class XattrTable {
  public:
    XattrTable(const XattrSets& sets, const codec::Compressor* compressor)
        : sets_(sets), compressor_(compressor), pairs_(compressor) {}

    /// What an inode with the set `index` stores; writes the set when it is met first.
    [[nodiscard]] Result<std::uint32_t> id_of(std::uint32_t index);

    [[nodiscard]] bool empty() const { return records_.empty(); }
    /// The bytes of the table if it begins at `position` of the image; `header_position` becomes
    /// what the superblock stores.
    [[nodiscard]] Result<ByteVector> encode(std::uint64_t position, std::uint64_t& header_position);

  private:
    [[nodiscard]] Status write_pair(const XattrPair& pair);

    const XattrSets& sets_;
    const codec::Compressor* compressor_;
    MetadataWriter pairs_;
    std::vector<format::XattrSetRecord> records_;
    std::unordered_map<std::uint32_t, std::uint32_t> ids_;            ///< by index of the set
    std::unordered_map<std::string, format::Reference> long_values_;  ///< where the first one lies
};

}  // namespace squenv::pack
