// SPDX-License-Identifier: MIT
#include "fuse/page_store.h"

#include <algorithm>
#include <optional>

#include "fuse/worker.h"

namespace squenv::fuse {

namespace {
/// A fragment block of 128 KiB holds about twenty files of an environment.
constexpr std::size_t kMaxSiblings = 64;
/// Files the kernel has never heard of, in a row, after which the rest is not tried.
constexpr int kMaxUnknown = 3;
/// Fragment blocks read ahead at most: 1 MiB of content at the usual block size.
constexpr unsigned kMaxDepth = 8;
/// More than a small file has.
constexpr std::uint64_t kWholeFile = 1 << 20;
}  // namespace

bool PageStore::store(NodeId node, std::uint64_t offset, ByteView bytes) {
    if (bytes.empty()) return true;
    std::optional<ReaderTurn::Guard> guard;
    if (auto* worker = Worker::current(); worker != nullptr && worker->has_turn()) {
        // Whoever waits may have the pages locked, and is served before anything is stored.
        if (turn_.is_request_waiting()) return false;
        guard.emplace(turn_, worker->turn_number());
    }
    if (!store_(node, offset, bytes)) return false;
    stored_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    return true;
}

void PageStore::before_reply(NodeId node, const std::vector<image::FreshBlock>& fresh) {
    if (!fresh.back().is_fragment) return;
    const std::unique_lock only_one(storing_, std::try_to_lock);
    if (only_one) next_ = store_siblings(node, fresh.back().block->bytes());
}

void PageStore::after_reply(NodeId node, std::uint64_t offset, std::uint64_t size,
                            const std::vector<image::FreshBlock>& fresh) {
    const std::unique_lock only_one(storing_, std::try_to_lock);
    if (!only_one) return;
    for (const auto& one : fresh) {
        if (one.is_fragment)
            read_ahead(node);
        else
            store_rest(node, offset, offset + size, one);
    }
}

void PageStore::store_rest(NodeId node, std::uint64_t offset, std::uint64_t end,
                           const image::FreshBlock& fresh) {
    const ByteView bytes = fresh.block->bytes();
    const std::uint64_t start = fresh.file_offset;
    // What lies behind the request first: files are mostly read forward.
    if (end < start + bytes.size() && !store(node, end, bytes.subspan(end - start))) return;
    if (offset > start) (void)store(node, start, bytes.first(offset - start));
}

std::optional<NodeId> PageStore::store_siblings(NodeId node, ByteView fragment) {
    int unknown = 0;
    return file_system_.visit_siblings(node, fragment, kMaxSiblings,
                                       [&](NodeId sibling, ByteView content) {
                                           unknown = store(sibling, 0, content) ? 0 : unknown + 1;
                                           return unknown < kMaxUnknown;
                                       });
}

void PageStore::read_ahead(NodeId node) {
    const auto index = file_system_.fragment_of(node);
    if (!index) return;
    depth_ = *index == last_fragment_ + 1 ? std::min(depth_ * 2 + 1, kMaxDepth) : 0;
    last_fragment_ = *index;
    if (auto* worker = Worker::current(); depth_ != 0 && worker != nullptr) worker->give_turn();
    for (unsigned i = 0; i < depth_ && next_; ++i) {
        const NodeId first = *next_;
        const auto ahead = file_system_.fragment_of(first);
        if (!ahead || *ahead != last_fragment_ + 1) return;
        std::vector<image::FreshBlock> fresh;
        const auto content = file_system_.read(first, 0, kWholeFile, &fresh);
        // A block that was decoded before is in use already, and its files with it.
        if (!content || content->size() != 1 || fresh.size() != 1) return;
        if (!store(first, 0, content->front().bytes)) return;
        last_fragment_ = *ahead;
        next_ = store_siblings(first, fresh.front().block->bytes());
    }
}

}  // namespace squenv::fuse
