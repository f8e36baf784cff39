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

bool PageStore::store(NodeId node, ByteView bytes) {
    if (bytes.empty() || reads_.overlaps({node, 0, bytes.size()})) return true;
    std::optional<ReaderTurn::Guard> guard;
    if (auto* worker = Worker::current(); worker != nullptr && worker->has_turn()) {
        // Whoever waits may have the pages locked, and is served before anything is stored.
        if (turn_.is_request_waiting()) return false;
        guard.emplace(turn_, worker->turn_number());
    } else if (!reads_.await_none_waiting()) {
        return false;
    }
    if (!store_(node, bytes)) return false;
    stored_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    return true;
}

void PageStore::before_reply(NodeId node, const image::Block& fragment) {
    const std::unique_lock only_one(storing_, std::try_to_lock);
    if (only_one) next_ = store_siblings(node, fragment.bytes());
}

std::optional<NodeId> PageStore::store_siblings(NodeId node, ByteView fragment) {
    int unknown = 0;
    return file_system_.visit_siblings(node, fragment, kMaxSiblings,
                                       [&](NodeId sibling, ByteView content) {
                                           unknown = store(sibling, content) ? 0 : unknown + 1;
                                           return unknown < kMaxUnknown;
                                       });
}

void PageStore::after_reply(NodeId node) {
    const std::unique_lock only_one(storing_, std::try_to_lock);
    if (!only_one) return;
    const auto index = file_system_.fragment_of(node);
    if (!index) return;
    depth_ = *index == last_fragment_ + 1 ? std::min(depth_ * 2 + 1, kMaxDepth) : 0;
    last_fragment_ = *index;
    if (auto* worker = Worker::current(); depth_ != 0 && worker != nullptr) worker->give_turn();
    for (unsigned i = 0; i < depth_ && next_; ++i) {
        const NodeId first = *next_;
        const auto ahead = file_system_.fragment_of(first);
        if (!ahead || *ahead != last_fragment_ + 1) return;
        image::BlockPointer fragment;
        const auto content = file_system_.read(first, 0, kWholeFile, &fragment);
        // A block that was decoded before is in use already, and its files with it.
        if (!content || content->size() != 1 || !fragment) return;
        if (!store(first, content->front().bytes)) return;
        last_fragment_ = *ahead;
        next_ = store_siblings(first, fragment->bytes());
    }
}

}  // namespace squenv::fuse
