// SPDX-License-Identifier: MIT
#include "image/block_list.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/little_endian.h"

namespace squenv::image {

namespace {
/// A list this short is summed up from its start: 256 additions cost less than a look-up.
constexpr std::uint64_t kStride = 256;
/// Above this the stride doubles: 8 TiB in 4 KiB blocks stay below 128 KiB of checkpoints.
constexpr std::size_t kMaxCheckpoints = 4096;
constexpr std::size_t kWordsAtOnce = 256;
constexpr std::size_t kIndexShards = 4;
}  // namespace

/// A position in a block list.
class BlockLists::Walker {
  public:
    Walker(const BlockLists& lists, const Inode& file)
        : lists_(lists), cursor_(lists.store_, lists.inodes_), data_position_(file.blocks_start) {}

    Status start(const Checkpoint& mark) {
        data_position_ = mark.position;
        return cursor_.seek(mark.word);
    }
    [[nodiscard]] Checkpoint here() const { return {data_position_, cursor_.reference()}; }

    /// Passes `count` blocks, appending them to `places` unless it is null.
    Status pass(std::uint64_t count, std::vector<BlockPlace>* places) {
        std::array<Le32, kWordsAtOnce> words;
        while (count != 0) {
            const auto step =
                static_cast<std::size_t>(std::min<std::uint64_t>(count, kWordsAtOnce));
            const auto part = std::span(words).first(step);
            SQUENV_TRY(cursor_.read(std::as_writable_bytes(part)));
            for (const std::uint32_t word : part) {
                SQUENV_TRY_ASSIGN(const auto stored,
                                  format::parse_block_word(word, lists_.block_size_));
                if (!fits(data_position_, stored.size_bytes, lists_.bytes_used_))
                    return fail(Errc::corrupt,
                                fmt::format("block at {} is past the image end", data_position_));
                if (places != nullptr) places->push_back({data_position_, stored});
                data_position_ += stored.size_bytes;
            }
            count -= step;
        }
        return {};
    }

  private:
    const BlockLists& lists_;
    MetadataCursor cursor_;
    std::uint64_t data_position_;
};

BlockLists::BlockLists(const MetadataStore& store, const MetadataRegion& inodes,
                       std::uint32_t block_size, std::uint64_t bytes_used, std::size_t cache_bytes)
    : store_(store),
      inodes_(inodes),
      block_size_(block_size),
      bytes_used_(bytes_used),
      cache_(cache_bytes, kIndexShards) {
}

Result<std::shared_ptr<const std::shared_ptr<BlockLists::Checkpoints>>> BlockLists::checkpoints(
    const Inode& file) const {
    using Cache = ShardedCache<std::uint64_t, std::shared_ptr<Checkpoints>>;
    return cache_.get_or_load(file.reference.raw(), [&]() -> Result<Cache::Loaded> {
        auto made = std::make_shared<Checkpoints>();
        made->stride = kStride;
        made->marks.push_back({file.blocks_start, file.payload});
        // The limit of its growth is charged from the start.
        const std::uint64_t most =
            std::min<std::uint64_t>(kMaxCheckpoints, file.block_count(block_size_) / kStride + 1);
        return Cache::Loaded{std::make_shared<const std::shared_ptr<Checkpoints>>(made),
                             sizeof(Checkpoints) + most * sizeof(Checkpoint)};
    });
}

Status BlockLists::go_to(Walker& walker, const Inode& file, std::uint64_t block) const {
    if (file.block_count(block_size_) <= kStride) {
        SQUENV_TRY(walker.start({file.blocks_start, file.payload}));
        return walker.pass(block, nullptr);
    }
    SQUENV_TRY_ASSIGN(const auto shared, checkpoints(file));
    Checkpoints& list = **shared;
    Checkpoint nearest;
    std::uint64_t index = 0;
    std::uint64_t stride = 0;
    {
        std::lock_guard lock(list.mutex);
        stride = list.stride;
        index = std::min<std::uint64_t>(block / stride, list.marks.size() - 1);
        nearest = list.marks[index];
    }
    SQUENV_TRY(walker.start(nearest));
    for (; index < block / stride; ++index) {
        SQUENV_TRY(walker.pass(stride, nullptr));
        std::lock_guard lock(list.mutex);
        if (list.stride != stride || list.marks.size() != index + 1) continue;
        list.marks.push_back(walker.here());
        if (list.marks.size() < kMaxCheckpoints) continue;
        for (std::size_t i = 1; i < list.marks.size() / 2; ++i) list.marks[i] = list.marks[2 * i];
        list.marks.resize(list.marks.size() / 2);
        list.stride *= 2;
    }
    return walker.pass(block % stride, nullptr);
}

Status BlockLists::places(const Inode& file, std::uint64_t first, std::uint64_t count,
                          std::vector<BlockPlace>& places) const {
    Walker walker(*this, file);
    SQUENV_TRY(go_to(walker, file, first));
    return walker.pass(count, &places);
}

}  // namespace squenv::image
