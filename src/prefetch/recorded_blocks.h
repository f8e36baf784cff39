// SPDX-License-Identifier: MIT
// Which blocks of the image the recorded start of a program needs, and where their bytes belong.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "appendix/appendix.h"
#include "image/image.h"
#include "prefetch/plan.h"

namespace squenv::prefetch {

/// Immutable once made, thread-safe. Flat and bounded, because the list comes with the image: a
/// part takes 96 bytes with its block, and 64 more while they are made.
class RecordedBlocks {
  public:
    /// As many as a list has items: 8 GiB in blocks of 128 KiB.
    static constexpr std::size_t kMaxParts = appendix::kMaxHotItems;

    /// A part and where it is stored.
    struct Stored {
        image::BlockPlace place;
        std::size_t length = 0;
        Part part;
    };

    /// In the order of `items`. Left out are ranges that the image has not got, and everything
    /// after `most_bytes` of ranges and after kMaxParts. A list made to take long is left after a
    /// second, and any when `is_ending` becomes true.
    RecordedBlocks(const image::Image& image, const std::vector<appendix::HotItem>& items,
                   std::uint64_t most_bytes, const std::atomic<bool>& is_ending);
    /// In the order of `stored`.
    explicit RecordedBlocks(const std::vector<Stored>& stored);
    RecordedBlocks(const RecordedBlocks&) = delete;
    RecordedBlocks& operator=(const RecordedBlocks&) = delete;

    [[nodiscard]] const std::vector<PlannedBlock>& blocks() const { return blocks_; }
    [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
    /// The index of the block that has the byte of `file` at `offset`, or the next block of this
    /// file after it.
    [[nodiscard]] std::optional<std::size_t> find(FileId file, std::uint64_t offset) const;

  private:
    /// Where a part begins that is in block number `block`.
    struct Start {
        FileId file = kNoFile;
        std::uint64_t file_offset = 0;
        std::uint32_t block = 0;
    };
    void add(const image::Image& image, const appendix::HotItem& item, std::uint64_t most_bytes,
             std::vector<Stored>& stored);
    [[nodiscard]] std::vector<std::uint32_t> number_blocks(const std::vector<Stored>& stored);
    void place_parts(const std::vector<Stored>& stored, const std::vector<std::uint32_t>& block_of);

    std::vector<Part> parts_;  ///< those of a block together
    std::vector<PlannedBlock> blocks_;
    std::vector<Start> starts_;  ///< sorted by file and offset
    std::uint64_t size_bytes_ = 0;
    std::uint64_t asked_bytes_ = 0;  ///< with holes, and what was asked twice
};

}  // namespace squenv::prefetch
