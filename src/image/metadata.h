// SPDX-License-Identifier: MIT
// Metadata blocks: decompressed once, kept in a bounded cache, read through cursors.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sharded_cache.h"
#include "codec/codec.h"
#include "format/reference.h"
#include "image/byte_source.h"

namespace squenv::image {

/// The uncompressed bytes of one metadata block and where the next one of its chain begins.
struct MetadataBlock {
    ByteVector bytes;
    std::uint64_t next_position = 0;
};
using MetadataPointer = std::shared_ptr<const MetadataBlock>;

/// The part of the image that a chain of metadata blocks may occupy.
struct MetadataRegion {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
};

/// Thread-safe.
class MetadataStore {
  public:
    MetadataStore(const ByteSource& source, const codec::Decompressor& decompressor,
                  std::size_t cache_bytes);

    /// The block whose header is at `position`, which must lie inside `region` as a whole.
    /// Errors: corrupt, io.
    [[nodiscard]] Result<MetadataPointer> block(std::uint64_t position,
                                                const MetadataRegion& region) const;
    [[nodiscard]] CacheCounters counters() const { return cache_.counters(); }

  private:
    /// `position` and the shortest possible block lie inside `region`.
    [[nodiscard]] Result<MetadataBlock> decode(std::uint64_t position,
                                               const MetadataRegion& region) const;

    const ByteSource& source_;
    const codec::Decompressor& decompressor_;
    mutable ShardedCache<std::uint64_t, MetadataBlock> cache_;
};

/// Reads bytes of one chain in order, across block boundaries. Not thread-safe; cheap to make.
class MetadataCursor {
  public:
    MetadataCursor(const MetadataStore& store, const MetadataRegion& region)
        : store_(&store), region_(region) {}

    /// Errors: corrupt when the reference leaves the region or its block.
    [[nodiscard]] Status seek(const format::Reference& reference);
    [[nodiscard]] Status read(MutableBytes out);
    [[nodiscard]] Status skip(std::uint64_t count);
    /// Where the next byte comes from. Valid after a successful seek.
    [[nodiscard]] format::Reference reference() const;

  private:
    [[nodiscard]] Status open_block(std::uint64_t position);
    /// Makes sure that at least one byte is left in the current block.
    [[nodiscard]] Status refill();

    const MetadataStore* store_;
    MetadataRegion region_;
    MetadataPointer block_;
    std::uint64_t position_ = 0;
    std::size_t offset_ = 0;
};

}  // namespace squenv::image
