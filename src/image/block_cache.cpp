// SPDX-License-Identifier: MIT
#include "image/block_cache.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/slow_work.h"

namespace squenv::image {

namespace {

/// Shards that still hold several blocks each.
std::size_t shard_count(std::size_t cache_bytes, std::uint32_t block_size) {
    return std::clamp<std::size_t>(cache_bytes / block_size / 8, 1, 8);
}

}  // namespace

BlockCache::BlockCache(const ByteSource& source, const codec::Decompressor& decompressor,
                       std::uint32_t block_size, std::size_t cache_bytes)
    : source_(source),
      decompressor_(decompressor),
      block_size_(block_size),
      buffers_(std::make_shared<Block::Buffers>()),
      cache_(cache_bytes, shard_count(cache_bytes, block_size)) {
}

BlockCache::Key BlockCache::key_of(const BlockPlace& place, std::size_t expected) {
    return {place.position, format::encode_block_word(place.stored),
            static_cast<std::uint32_t>(expected)};
}

/// A thread that stores a block waits for READs of its pages: they are quick if they get it, too.
BlockPointer BlockCache::find_lent(const Key& key) const {
    const std::lock_guard lock(mutex_);
    for (const Lent& lent : lent_)
        if (lent.key == key)
            if (auto block = lent.block.lock()) return block;
    return nullptr;
}

void BlockCache::lend(const Key& key, const BlockPointer& block) const {
    const std::lock_guard lock(mutex_);
    lent_[next_lent_++ % lent_.size()] = {key, block};
}

Result<BlockCache::Answer> BlockCache::get(const BlockPlace& place, std::size_t expected,
                                           const Request& request) const {
    using Cache = ShardedCache<Key, Block, KeyHash>;
    const Key key = key_of(place, expected);
    if (!request.is_kept) {
        if (auto cached = cache_.find(key)) return Answer{std::move(cached), false};
        if (auto lent = find_lent(key)) return Answer{std::move(lent), false};
        SQUENV_TRY_ASSIGN(auto block, decode(place, expected, request.stored));
        lend(key, block);
        return Answer{std::move(block), true};
    }
    bool is_new = false;
    auto block = cache_.get_or_load(key, [&]() -> Result<Cache::Loaded> {
        if (auto lent = find_lent(key)) return Cache::Loaded{std::move(lent), block_size_};
        SQUENV_TRY_ASSIGN(auto decoded, decode(place, expected, request.stored));
        is_new = true;
        return Cache::Loaded{std::move(decoded), block_size_};
    });
    if (!block) return tl::unexpected(std::move(block).error());
    return Answer{std::move(*block), is_new};
}

Result<std::shared_ptr<Block>> BlockCache::decode(const BlockPlace& place, std::size_t expected,
                                                  ByteView stored) const {
    const auto failed = [&](const Error& error) {
        return with_context(error, fmt::format("block at {}", place.position));
    };
    announce_slow_work();
    auto block = std::make_shared<Block>(buffers_, block_size_);
    if (!place.stored.is_compressed) {
        block->set_size(place.stored.size_bytes);
        const MutableBytes whole(block->data(), place.stored.size_bytes);
        if (!stored.empty())
            std::memcpy(whole.data(), stored.data(), whole.size());
        else if (auto status = source_.read_exact(place.position, whole); !status)
            return failed(status.error());
    } else {
        std::optional<Block::Buffers::Loan> buffer;
        if (stored.empty()) {
            buffer.emplace(buffers_->borrow([&] { return new std::byte[block_size_]; }));
            const MutableBytes input(buffer->get(), place.stored.size_bytes);
            if (auto status = source_.read_exact(place.position, input); !status)
                return failed(status.error());
            stored = input;
        }
        const std::size_t room = expected == kAnyLength ? block_size_ : expected;
        const auto size = decompressor_.decompress(stored, MutableBytes(block->data(), room));
        if (!size) return failed(size.error());
        block->set_size(*size);
    }
    if (expected != kAnyLength && block->bytes().size() != expected)
        return fail(Errc::corrupt, fmt::format("block at {}: {} bytes instead of {}",
                                               place.position, block->bytes().size(), expected));
    return block;
}

}  // namespace squenv::image
