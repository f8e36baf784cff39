// SPDX-License-Identifier: MIT
// Records of the lookup tables, the xattr area and the compressor option block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "format/metadata_header.h"
#include "format/reference.h"
#include "format/superblock.h"

namespace squenv::format {

inline constexpr std::size_t kFragmentRecordSize = 16;
inline constexpr std::size_t kExportRecordSize = 8;
inline constexpr std::size_t kIdRecordSize = 4;
inline constexpr std::size_t kXattrIdRecordSize = 16;
inline constexpr std::size_t kXattrHeaderSize = 16;

/// A fragment block.
struct FragmentRecord {
    std::uint64_t start = 0;  ///< image position
    StoredSize stored{};
};
[[nodiscard]] Result<FragmentRecord> parse_fragment(ByteView bytes, const Superblock& superblock);
void encode_fragment(ByteVector& out, const FragmentRecord& fragment);

/// The header of the xattr id table.
struct XattrTableHeader {
    std::uint64_t pairs_start = 0;  ///< image position of the key/value metadata blocks
    std::uint32_t id_count = 0;
};
/// Errors: corrupt (no ids, list longer than the image, pairs after the header).
[[nodiscard]] Result<XattrTableHeader> parse_xattr_header(ByteView bytes,
                                                          const Superblock& superblock);
void encode_xattr_header(ByteVector& out, const XattrTableHeader& header);

/// One set of attributes. `size_bytes` differs between writers and bounds nothing.
struct XattrSetRecord {
    Reference pairs{};
    std::uint32_t pair_count = 0;
    std::uint32_t size_bytes = 0;
};
[[nodiscard]] XattrSetRecord parse_xattr_set(ByteView bytes);
void encode_xattr_set(ByteVector& out, const XattrSetRecord& set);

/// The head of a key: "user." (0), "trusted." (1), "security." (2).
struct XattrKey {
    std::uint16_t prefix_id = 0;
    bool is_out_of_line = false;  ///< the value is a reference to where the value is
    std::uint16_t name_size = 0;
};
inline constexpr std::size_t kXattrKeySize = 4;
[[nodiscard]] XattrKey parse_xattr_key(ByteView bytes);
void encode_xattr_key(ByteVector& out, const XattrKey& key);
/// "user.", or nothing for an id that does not exist: such attributes are skipped by readers.
[[nodiscard]] std::optional<std::string> xattr_prefix(std::uint16_t prefix_id);

/// The text that `info` prints for the option block of `compressor`, as in "level 3".
/// Errors: corrupt (a length the compressor does not have).
[[nodiscard]] Result<std::string> describe_compressor_options(CompressorId compressor,
                                                              ByteView payload);
/// The payload for options that differ from the reader's defaults; empty when none is needed.
[[nodiscard]] ByteVector encode_compressor_options(CompressorId compressor, int level);

}  // namespace squenv::format
