// SPDX-License-Identifier: MIT
#include "fuse/hot_plan.h"

#include <algorithm>
#include <chrono>

namespace squenv::fuse {

namespace {
/// Every kernel that has FUSE has pages of 4 KiB or a multiple; a store that covers no whole page
/// is refused by the latter and does no harm.
constexpr std::uint64_t kPage = 4096;
/// The list of an import takes 3 ms.
constexpr std::chrono::seconds kMostTime{1};
}  // namespace

HotPlan::HotPlan(const FileSystem& file_system, const std::vector<appendix::HotItem>& items,
                 std::uint64_t most_bytes, const std::atomic<bool>& is_ending) {
    const auto end = std::chrono::steady_clock::now() + kMostTime;
    for (const appendix::HotItem& item : items) {
        if (item.kind != appendix::HotItem::Kind::range) continue;
        if (asked_bytes_ >= most_bytes || is_ending || std::chrono::steady_clock::now() >= end)
            break;
        add(file_system, item, most_bytes);
    }
    std::uint64_t before = 0;
    for (HotBlock& block : blocks_) {
        block.bytes_before = before;
        for (const HotPart& part : block.parts) before += part.size_bytes;
    }
    for (auto& [node, starts] : by_node_)
        std::sort(starts.begin(), starts.end(), [](const Start& a, const Start& b) {
            return a.file_offset < b.file_offset;
        });
}

void HotPlan::add(const FileSystem& file_system, const appendix::HotItem& item,
                  std::uint64_t most_bytes) {
    const auto inode = file_system.image().inode(format::Reference::from_raw(item.reference));
    if (!inode || !inode->is_file() || item.offset >= inode->size_bytes) return;
    const std::uint64_t begin = item.offset / kPage * kPage;
    const std::uint64_t wanted = std::min(item.size_bytes, inode->size_bytes - item.offset);
    const std::uint64_t end =
        std::min((item.offset + wanted + kPage - 1) / kPage * kPage, inode->size_bytes);
    asked_bytes_ += end - begin;
    if (asked_bytes_ > most_bytes) return;
    const NodeId node = file_system.node_id(inode->reference);
    // What cannot be found out about a damaged file is not needed here: reading it will say so.
    (void)file_system.image().data().visit_stored(
        *inode, begin, end - begin,
        [&](const image::StoredPart& part) { add(node, part); });
}

void HotPlan::add(NodeId node, const image::StoredPart& part) {
    const auto [known, is_new] = by_position_.emplace(part.place.position, blocks_.size());
    if (is_new) blocks_.push_back({part.place, part.length, 0, {}});
    HotBlock& block = blocks_[known->second];
    block.parts.push_back({node, part.file_offset, part.block_offset, part.size_bytes});
    by_node_[node].push_back({part.file_offset, known->second});
    size_bytes_ += part.size_bytes;
}

std::optional<std::size_t> HotPlan::find(NodeId node, std::uint64_t offset) const {
    const auto found = by_node_.find(node);
    if (found == by_node_.end()) return std::nullopt;
    const auto& starts = found->second;
    auto next = std::upper_bound(
        starts.begin(), starts.end(), offset,
        [](std::uint64_t value, const Start& start) { return value < start.file_offset; });
    if (next != starts.begin()) --next;
    return next->block;
}

}  // namespace squenv::fuse
