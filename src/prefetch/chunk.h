// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "image/byte_source.h"
#include "prefetch/plan.h"

namespace squenv::prefetch {

/// Stored bytes of several blocks, which were read together and are decoded one after the other.
struct Chunk {
    struct Piece {
        Job job;
        std::size_t begin = 0;  ///< in the bytes
    };
    std::vector<std::byte> bytes;
    std::vector<Piece> pieces;  ///< in the order of the plan
    std::size_t next = 0;       ///< the first one that no decoder took

    [[nodiscard]] ByteView stored_of(const Piece& piece) const {
        return ByteView(bytes).subspan(piece.begin, piece.job.block->place.stored.size_bytes);
    }
};

/// Bytes of the first chunk: few, so that decoding begins soon; and of the largest one.
inline constexpr std::size_t kFirstChunkBytes = 256 << 10;
inline constexpr std::size_t kMaxChunkBytes = 4 << 20;

/// Reads the blocks of `jobs` by position, in as few calls as possible. What cannot be read is left
/// out: a request for it gets the error.
[[nodiscard]] Chunk read_chunk(const image::ByteSource& source, std::vector<Job> jobs);

}  // namespace squenv::prefetch
