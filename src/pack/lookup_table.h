// SPDX-License-Identifier: MIT
// Tables of fixed records: metadata blocks, then the list of where they are.
#pragma once

#include "base/bytes.h"
#include "base/little_endian.h"
#include "base/result.h"
#include "pack/metadata_writer.h"

namespace squenv::pack {

/// Appends the blocks of `records`, then `header` (xattrs have one), then the location list to
/// `out`, which begins at `position` of the image. Returns the position of the header or list,
/// which is what the superblock stores. Errors: those of the compressor.
[[nodiscard]] inline Result<std::uint64_t> append_lookup_table(
    ByteVector& out, std::uint64_t position, ByteView records, ByteView header,
    const codec::Compressor* compressor) {
    MetadataWriter blocks(compressor);
    SQUENV_TRY(blocks.append(records));
    SQUENV_TRY(blocks.finish());
    const std::uint64_t blocks_position = position + out.size();
    append(out, blocks.bytes());
    const std::uint64_t start = position + out.size();
    append(out, header);
    for (const std::uint64_t block : blocks.block_starts())
        append(out, Le64(blocks_position + block));
    return start;
}

}  // namespace squenv::pack
