// SPDX-License-Identifier: MIT
// Directory listings: runs of up to 256 entries, each after a header.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "format/inode.h"
#include "format/reference.h"

namespace squenv::format {

inline constexpr std::size_t kDirectoryHeaderSize = 12;
inline constexpr std::size_t kDirectoryEntrySize = 8;

/// What the entries of one run share.
struct DirectoryHeader {
    std::uint32_t entry_count = 0;   ///< 1..256
    std::uint32_t inode_block = 0;   ///< relative to the inode table
    std::uint32_t inode_number = 0;  ///< base the entries add to
};

/// One entry without its name.
struct DirectoryEntry {
    std::uint16_t inode_offset = 0;  ///< in the uncompressed inode block
    std::int16_t number_delta = 0;
    InodeType type = InodeType::file;
    std::uint16_t name_size = 0;  ///< 1..255
};

/// `bytes` holds at least the header. Errors: corrupt.
[[nodiscard]] Result<DirectoryHeader> parse_directory_header(ByteView bytes);
void encode_directory_header(ByteVector& out, const DirectoryHeader& header);

/// `bytes` holds at least the fixed part. Errors: corrupt.
[[nodiscard]] Result<DirectoryEntry> parse_directory_entry(ByteView bytes);
void encode_directory_entry(ByteVector& out, const DirectoryEntry& entry, std::string_view name);

/// Refuses what no lookup can reach or what escapes a directory: "", ".", "..", '/' and NUL.
[[nodiscard]] Status check_name(std::string_view name);

}  // namespace squenv::format
