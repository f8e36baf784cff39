// SPDX-License-Identifier: MIT
// Decoded data and fragment blocks in reused buffers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/bytes.h"
#include "base/resource_pool.h"
#include "base/sharded_cache.h"
#include "codec/codec.h"
#include "image/block_list.h"
#include "image/byte_source.h"

namespace squenv::image {

/// A decoded block. The buffer goes back to the cache's pool with the last pointer.
class Block {
  public:
    using Buffers = ResourcePool<std::byte[]>;
    Block(std::shared_ptr<Buffers> buffers, std::size_t capacity)
        : buffers_(std::move(buffers)),
          buffer_(buffers_->borrow([&] { return new std::byte[capacity]; })) {}

    [[nodiscard]] ByteView bytes() const { return {buffer_.get(), size_}; }
    [[nodiscard]] std::byte* data() { return buffer_.get(); }
    void set_size(std::size_t size) { size_ = size; }

  private:
    std::shared_ptr<Buffers> buffers_;  ///< outlives buffer_
    Buffers::Loan buffer_;
    std::size_t size_ = 0;
};
using BlockPointer = std::shared_ptr<const Block>;

/// Thread-safe.
class BlockCache {
  public:
    BlockCache(const ByteSource& source, const codec::Decompressor& decompressor,
               std::uint32_t block_size, std::size_t cache_bytes);

    /// How a block is asked for.
    struct Request {
        /// False: for blocks that go to the page cache as a whole. Others get such a block while
        /// this caller has it.
        bool is_kept = true;
        ByteView stored{};  ///< the stored bytes, when they were read before
    };
    /// A block, and whether this very call decoded it.
    struct Answer {
        BlockPointer block;
        bool is_new = false;
    };
    /// A decoded block of exactly `expected` bytes, or of any length up to a block when
    /// `expected` is kAnyLength (fragments). Errors: corrupt, io.
    [[nodiscard]] Result<Answer> get(const BlockPlace& place, std::size_t expected,
                                     const Request& request) const;
    [[nodiscard]] CacheCounters counters() const { return cache_.counters(); }

    static constexpr std::size_t kAnyLength = 0;

  private:
    struct Key {
        std::uint64_t position = 0;
        std::uint32_t stored_bytes = 0;
        std::uint32_t expected = 0;
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const {
            return std::hash<std::uint64_t>{}(key.position * 0x9E3779B97F4A7C15ULL >> 20);
        }
    };
    /// A block that is not kept, for as long as a caller has it.
    struct Lent {
        Key key;
        std::weak_ptr<const Block> block;
    };
    [[nodiscard]] static Key key_of(const BlockPlace& place, std::size_t expected);
    [[nodiscard]] BlockPointer find_lent(const Key& key) const;
    void lend(const Key& key, const BlockPointer& block) const;
    /// Reads the bytes when `stored` is empty.
    [[nodiscard]] Result<std::shared_ptr<Block>> decode(const BlockPlace& place,
                                                        std::size_t expected,
                                                        ByteView stored) const;

    const ByteSource& source_;
    const codec::Decompressor& decompressor_;
    std::uint32_t block_size_;
    std::shared_ptr<Block::Buffers> buffers_;
    mutable ShardedCache<Key, Block, KeyHash> cache_;
    mutable std::mutex mutex_;  ///< protects the two below
    mutable std::array<Lent, 16> lent_{};
    mutable std::size_t next_lent_ = 0;
};

}  // namespace squenv::image
