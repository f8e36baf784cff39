// SPDX-License-Identifier: MIT
// Which blocks of the image a recorded start needs, and where their bytes belong.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "appendix/appendix.h"
#include "fuse/file_system.h"

namespace squenv::fuse {

/// A part of a decoded block that belongs into the page cache of a file.
struct HotPart {
    NodeId node = 0;
    std::uint64_t file_offset = 0;  ///< a multiple of the page size
    std::uint32_t block_offset = 0;
    std::uint32_t size_bytes = 0;  ///< whole pages, or up to the end of the file
};

/// A stored block and what it is needed for.
struct HotBlock {
    image::BlockPlace place;
    std::size_t length = 0;          ///< as BlockCache::get wants it
    std::uint64_t bytes_before = 0;  ///< in the parts of all blocks in front of this one
    std::span<const HotPart> parts;  ///< kept by the plan
};

/// Immutable once made, thread-safe. Flat and bounded, because the list comes with the image: a part
/// takes 96 bytes with its block, and 64 more while the plan is made.
class HotPlan {
  public:
    /// As many as a list has items: 8 GiB in blocks of 128 KiB.
    static constexpr std::size_t kMaxParts = appendix::kMaxHotItems;

    /// In the order of `items`; ranges that the image has not got are left out, and everything
    /// behind `most_bytes` of ranges and behind kMaxParts. A list made to take long is left after a
    /// second, and any when `is_ending` becomes true.
    HotPlan(const FileSystem& file_system, const std::vector<appendix::HotItem>& items,
            std::uint64_t most_bytes, const std::atomic<bool>& is_ending);
    HotPlan(const HotPlan&) = delete;
    HotPlan& operator=(const HotPlan&) = delete;

    [[nodiscard]] const std::vector<HotBlock>& blocks() const { return blocks_; }
    [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
    /// The index of the block that has the byte of `node` at `offset`, or the next one of this
    /// file behind it.
    [[nodiscard]] std::optional<std::size_t> find(NodeId node, std::uint64_t offset) const;

  private:
    /// A part and where it is stored.
    struct Found {
        image::BlockPlace place;
        std::size_t length = 0;
        HotPart part;
    };
    /// Where a part begins that is in block number `block`.
    struct Start {
        NodeId node = 0;
        std::uint64_t file_offset = 0;
        std::uint32_t block = 0;
    };
    void add(const FileSystem& file_system, const appendix::HotItem& item,
             std::uint64_t most_bytes, std::vector<Found>& found);
    [[nodiscard]] std::vector<std::uint32_t> number_blocks(const std::vector<Found>& found);
    void place_parts(const std::vector<Found>& found, const std::vector<std::uint32_t>& block_of);

    std::vector<HotPart> parts_;  ///< those of a block together
    std::vector<HotBlock> blocks_;
    std::vector<Start> starts_;  ///< sorted by node and offset
    std::uint64_t size_bytes_ = 0;
    std::uint64_t asked_bytes_ = 0;  ///< with holes, and what was asked twice
};

}  // namespace squenv::fuse
