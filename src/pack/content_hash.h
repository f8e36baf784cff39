// SPDX-License-Identifier: MIT
// A hash of what a file says, for comparing source and image. Holes and zeros count the same, so
// that neither side has to produce them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"
#include "base/little_endian.h"
#include "pack/duplicates.h"

namespace squenv::pack {

/// True when every byte is zero; of nothing as well.
[[nodiscard]] inline bool is_all_zero(ByteView bytes) {
    if (bytes.empty() || bytes[0] != std::byte{0}) return bytes.empty();
    return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// Takes the pieces of a file in order. Pieces begin at multiples of the block size; blocks of
/// zeros may be left out. Not thread-safe.
class ContentHash {
  public:
    ContentHash(const FileHasher& hasher, std::uint32_t block_size)
        : stream_(hasher.stream()), block_size_(block_size) {}

    void add(std::uint64_t offset, ByteView bytes) {
        while (!bytes.empty()) {
            const ByteView block = bytes.first(std::min<std::size_t>(block_size_, bytes.size()));
            if (!is_all_zero(block)) {
                const Le64 position(offset);
                stream_.add(std::as_bytes(std::span(&position, 1)));
                stream_.add(block);
            }
            offset += block.size();
            bytes = bytes.subspan(block.size());
        }
    }
    [[nodiscard]] Hash128 result() const { return stream_.result(); }

  private:
    HashStream stream_;
    std::uint32_t block_size_;
};

}  // namespace squenv::pack
