// SPDX-License-Identifier: MIT
#include "prefetch/recorded_blocks.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <numeric>
#include <tuple>
#include <utility>

namespace squenv::prefetch {

namespace {
/// Every kernel that has FUSE has pages of 4 KiB or a multiple; a store that covers no whole page
/// is refused by the latter and does no harm.
constexpr std::uint64_t kPage = 4096;
/// The list of an import takes 3 ms.
constexpr std::chrono::seconds kMostTime{1};
}  // namespace

RecordedBlocks::RecordedBlocks(const image::Image& image,
                               const std::vector<appendix::HotItem>& items,
                               std::uint64_t most_bytes, const std::atomic<bool>& is_ending) {
    const auto end = std::chrono::steady_clock::now() + kMostTime;
    std::vector<Stored> stored;
    stored.reserve(kMaxParts);  // costs what is used of it
    for (const appendix::HotItem& item : items) {
        if (item.kind != appendix::HotItem::Kind::range) continue;
        if (asked_bytes_ >= most_bytes || stored.size() == kMaxParts || is_ending ||
            std::chrono::steady_clock::now() >= end)
            break;
        add(image, item, most_bytes, stored);
    }
    place_parts(stored, number_blocks(stored));
}

RecordedBlocks::RecordedBlocks(const std::vector<Stored>& stored) {
    place_parts(stored, number_blocks(stored));
}

void RecordedBlocks::add(const image::Image& image, const appendix::HotItem& item,
                         std::uint64_t most_bytes, std::vector<Stored>& stored) {
    const auto inode = image.inode(format::Reference::from_raw(item.reference));
    if (!inode || !inode->is_file() || item.offset >= inode->size_bytes) return;
    const std::uint64_t begin = item.offset / kPage * kPage;
    const std::uint64_t wanted = std::min(item.size_bytes, inode->size_bytes - item.offset);
    // A range of blocks without number would be gone through in vain.
    const std::uint64_t room = (kMaxParts - stored.size()) * image.superblock().block_size;
    const std::uint64_t end = std::min(
        {(item.offset + wanted + kPage - 1) / kPage * kPage, inode->size_bytes, begin + room});
    asked_bytes_ += end - begin;
    if (asked_bytes_ > most_bytes) return;
    const FileId file = file_id(*inode);
    // What cannot be found out about a damaged file is not needed here: reading it will say so.
    (void)image.data().visit_stored(*inode, begin, end - begin, [&](const image::StoredPart& part) {
        if (stored.size() == kMaxParts) return;
        stored.push_back({part.place,
                          part.length,
                          {file, part.file_offset, part.block_offset, part.size_bytes}});
    });
}

/// Makes the blocks, in the order of their first parts. Returns the block number of each part.
std::vector<std::uint32_t> RecordedBlocks::number_blocks(const std::vector<Stored>& stored) {
    std::vector<std::uint32_t> by_position(stored.size());
    std::iota(by_position.begin(), by_position.end(), 0U);
    std::sort(by_position.begin(), by_position.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::tie(stored[a].place.position, a) < std::tie(stored[b].place.position, b);
    });
    // First of each part the first one in its block, which comes before it or is itself.
    std::vector<std::uint32_t> block_of(stored.size());
    std::size_t count = 0;
    std::uint32_t first = 0;
    for (const std::uint32_t part : by_position) {
        if (count == 0 || stored[part].place.position != stored[first].place.position) {
            first = part;
            ++count;
        }
        block_of[part] = first;
    }
    blocks_.reserve(count);
    for (std::uint32_t part = 0; part < stored.size(); ++part) {
        if (block_of[part] == part) {
            block_of[part] = static_cast<std::uint32_t>(blocks_.size());
            blocks_.push_back({stored[part].place, stored[part].length, 0, {}});
        } else {
            block_of[part] = block_of[block_of[part]];
        }
    }
    return block_of;
}

void RecordedBlocks::place_parts(const std::vector<Stored>& stored,
                                 const std::vector<std::uint32_t>& block_of) {
    // Of each block the number of its parts, then where the next part goes.
    std::vector<std::size_t> next(blocks_.size());
    for (const std::uint32_t block : block_of) ++next[block];
    parts_.resize(stored.size());
    std::size_t begin = 0;
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
        blocks_[block].parts = std::span<const Part>(parts_).subspan(begin, next[block]);
        begin += std::exchange(next[block], begin);
    }
    starts_.reserve(stored.size());
    for (std::size_t i = 0; i < stored.size(); ++i) {
        parts_[next[block_of[i]]++] = stored[i].part;
        starts_.push_back({stored[i].part.file, stored[i].part.file_offset, block_of[i]});
    }
    std::sort(starts_.begin(), starts_.end(), [](const Start& a, const Start& b) {
        return std::tie(a.file, a.file_offset) < std::tie(b.file, b.file_offset);
    });
    for (PlannedBlock& block : blocks_) {
        block.bytes_before = size_bytes_;
        for (const Part& part : block.parts) size_bytes_ += part.size_bytes;
    }
}

std::optional<std::size_t> RecordedBlocks::find(FileId file, std::uint64_t offset) const {
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), std::tie(file, offset),
                                       [](const auto& wanted, const Start& start) {
                                           return wanted < std::tie(start.file, start.file_offset);
                                       });
    if (next != starts_.begin() && std::prev(next)->file == file) return std::prev(next)->block;
    if (next != starts_.end() && next->file == file) return next->block;
    return std::nullopt;
}

}  // namespace squenv::prefetch
