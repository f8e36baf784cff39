// SPDX-License-Identifier: MIT
// The places of a file's blocks: the size words after its inode, walked on demand.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/sharded_cache.h"
#include "format/metadata_header.h"
#include "image/inode.h"
#include "image/metadata.h"

namespace squenv::image {

/// One data block of a file. stored.size_bytes 0 is a hole.
struct BlockPlace {
    std::uint64_t position = 0;  ///< in the image
    format::StoredSize stored{};
};

/// Thread-safe. The position of block n is the sum of the sizes before it, so long lists get
/// checkpoints as they are walked; their number is bounded, whatever the file claims to be.
class BlockLists {
  public:
    BlockLists(const MetadataStore& store, const MetadataRegion& inodes, std::uint32_t block_size,
               std::uint64_t bytes_used, std::size_t cache_bytes);

    /// Appends the places of blocks [first, first + count) of `file` to `places`. The range lies
    /// inside the file. Errors: corrupt, io.
    [[nodiscard]] Status places(const Inode& file, std::uint64_t first, std::uint64_t count,
                                std::vector<BlockPlace>& places) const;

  private:
    struct Checkpoint {
        std::uint64_t position = 0;  ///< of the data of block index * stride
        format::Reference word{};    ///< of its size word
    };
    struct Checkpoints {
        std::mutex mutex;  ///< protects the rest
        std::uint64_t stride = 0;
        std::vector<Checkpoint> marks;
    };
    class Walker;

    [[nodiscard]] Result<std::shared_ptr<const std::shared_ptr<Checkpoints>>> checkpoints(
        const Inode& file) const;
    [[nodiscard]] Status go_to(Walker& walker, const Inode& file, std::uint64_t block) const;

    const MetadataStore& store_;
    MetadataRegion inodes_;
    std::uint32_t block_size_;
    std::uint64_t bytes_used_;
    mutable ShardedCache<std::uint64_t, std::shared_ptr<Checkpoints>> cache_;
};

}  // namespace squenv::image
