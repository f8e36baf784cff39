// SPDX-License-Identifier: MIT
// The two bytes in front of every metadata block, and the size word of data blocks.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "format/bounds.h"

namespace squenv::format {

/// How many bytes are stored and whether they are compressed.
struct StoredSize {
    std::uint32_t size_bytes = 0;
    bool is_compressed = false;
};

/// Stored length 1..8192. Errors: corrupt.
[[nodiscard]] Result<StoredSize> parse_metadata_header(std::uint16_t header);
[[nodiscard]] std::uint16_t encode_metadata_header(const StoredSize& stored);

/// A block list or fragment size word. size_bytes 0 means a sparse block (block lists only).
/// Errors: corrupt (longer than a block, unknown bits, or uncompressed with length 0).
[[nodiscard]] Result<StoredSize> parse_block_word(std::uint32_t word, std::uint32_t block_size);
[[nodiscard]] std::uint32_t encode_block_word(const StoredSize& stored);

}  // namespace squenv::format
