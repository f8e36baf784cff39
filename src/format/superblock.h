// SPDX-License-Identifier: MIT
// The superblock: the first 96 bytes of an image.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "format/bounds.h"
#include "format/reference.h"

namespace squenv::format {

enum class CompressorId : std::uint16_t { gzip = 1, lzma = 2, lzo = 3, xz = 4, lz4 = 5, zstd = 6 };

/// "gzip", "lzma", "lzo", "xz", "lz4" or "zstd".
[[nodiscard]] const char* compressor_name(CompressorId id);

/// Flag bits. Only `compressor_options` changes how an image is read; the others are
/// declarations of the writer that readers never rely on.
enum SuperblockFlag : std::uint16_t {
    kFlagRawInodes = 0x0001,
    kFlagRawData = 0x0002,
    kFlagRawFragments = 0x0008,
    kFlagNoFragments = 0x0010,
    kFlagAlwaysFragments = 0x0020,
    kFlagDuplicatesRemoved = 0x0040,
    kFlagExportable = 0x0080,
    kFlagRawXattrs = 0x0100,
    kFlagNoXattrs = 0x0200,
    kFlagCompressorOptions = 0x0400,
    kFlagRawIds = 0x0800,
};

/// Host form. All positions are bytes from the start of the image. After parse_superblock every
/// field obeys the format: sizes and positions fit into bytes_used and are in order.
struct Superblock {
    std::uint32_t inode_count = 0;
    std::uint32_t mkfs_time = 0;  ///< seconds since 1970
    std::uint32_t block_size = 0;
    std::uint16_t block_log = 0;
    std::uint32_t fragment_count = 0;
    CompressorId compressor = CompressorId::zstd;
    std::uint16_t flags = 0;
    std::uint16_t id_count = 0;
    Reference root_inode{};
    std::uint64_t bytes_used = 0;
    std::uint64_t id_table_start = 0;
    std::uint64_t xattr_table_start = kNoTable;
    std::uint64_t inode_table_start = 0;
    std::uint64_t directory_table_start = 0;
    std::uint64_t fragment_table_start = kNoTable;
    std::uint64_t export_table_start = kNoTable;

    [[nodiscard]] bool has_xattrs() const { return xattr_table_start != kNoTable; }
    [[nodiscard]] bool has_export_table() const { return export_table_start != kNoTable; }
};

/// The number in the first four bytes, to tell images from other files.
[[nodiscard]] std::uint32_t magic_of(ByteView first_bytes);

/// Reads and validates 96 bytes. `image_bytes` is how many bytes the file holds from the start of
/// the image on; an image that claims more is refused as truncated.
/// Errors: unsupported (not squashfs, other version, too large blocks), corrupt.
[[nodiscard]] Result<Superblock> parse_superblock(ByteView bytes, std::uint64_t image_bytes);

/// The 96 bytes of `superblock`.
[[nodiscard]] ByteVector encode_superblock(const Superblock& superblock);

}  // namespace squenv::format
