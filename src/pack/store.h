// SPDX-License-Identifier: MIT
// The content pass: reads every file, finds those that repeat, cuts the others into blocks and
// fragments, and has them compressed and written.
#pragma once

#include <vector>

#include "appendix/appendix.h"
#include "codec/codec.h"
#include "pack/content.h"
#include "pack/content_hash.h"
#include "pack/image_writer.h"
#include "pack/source.h"

namespace squenv::pack {

/// What the pass yields besides the places noted in the contents.
struct Stored {
    std::vector<Finding> problems;  ///< files that could not be read, sorted by path
    std::vector<appendix::BlockDigest> digests;
    std::vector<Hash128> hashes;  ///< ContentHash of every content that has a place of its own
    std::uint64_t duplicate_files = 0;
    std::uint64_t duplicate_bytes = 0;
    std::uint64_t blocks = 0;
    std::uint64_t raw_blocks = 0;   ///< not smaller when compressed
    std::uint64_t block_bytes = 0;  ///< as stored
};

/// `has_hashes` asks for Stored::hashes. `compressor` may be null (blocks are stored as they are).
/// Files that could not be read are marked in `contents`; unless Options::ignores_unreadable is
/// set, the image is then useless.
/// Errors: cancelled, limit (disk full), io.
[[nodiscard]] Result<Stored> store_contents(const Source& source, const Tree& tree,
                                            Contents& contents, const Options& options,
                                            const codec::Compressor* compressor,
                                            const FileHasher& hasher, bool has_hashes,
                                            ImageWriter& writer);

}  // namespace squenv::pack
