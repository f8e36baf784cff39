// SPDX-License-Identifier: MIT
#include "format/metadata_header.h"

#include <fmt/core.h>

namespace squenv::format {

namespace {
constexpr std::uint16_t kMetadataRaw = 0x8000;
constexpr std::uint32_t kBlockRaw = 1U << 24;
}  // namespace

Result<StoredSize> parse_metadata_header(std::uint16_t header) {
    const std::uint32_t size = header & 0x7FFFU;
    if (size == 0 || size > kMetadataSize)
        return fail(Errc::corrupt, fmt::format("metadata block length {} is impossible", size));
    return StoredSize{size, (header & kMetadataRaw) == 0};
}

std::uint16_t encode_metadata_header(const StoredSize& stored) {
    return static_cast<std::uint16_t>(stored.size_bytes |
                                      (stored.is_compressed ? 0 : kMetadataRaw));
}

Result<StoredSize> parse_block_word(std::uint32_t word, std::uint32_t block_size) {
    const std::uint32_t size = word & (kBlockRaw - 1);
    if ((word & ~(kBlockRaw | (kBlockRaw - 1))) != 0 || size > block_size || word == kBlockRaw)
        return fail(Errc::corrupt, fmt::format("block size word {:#010x} is impossible", word));
    return StoredSize{size, (word & kBlockRaw) == 0};
}

std::uint32_t encode_block_word(const StoredSize& stored) {
    return stored.size_bytes | (stored.is_compressed || stored.size_bytes == 0 ? 0 : kBlockRaw);
}

}  // namespace squenv::format
