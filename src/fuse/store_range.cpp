// SPDX-License-Identifier: MIT
#include "fuse/store_range.h"

#include <algorithm>

namespace squenv::fuse {

namespace {
/// Bytes stored by one call, a multiple of every page size: some 10 us, in which few requests come.
constexpr std::uint64_t kStep = 64 << 10;
}  // namespace

bool store_range(const StorePages& store, const UnansweredReads& reads, const FileRange& range,
                 ByteView bytes, std::atomic<std::uint64_t>& stored_bytes) {
    for (std::uint64_t at = range.begin; at < range.end; at += kStep) {
        const FileRange step{range.node, at, std::min(at + kStep, range.end)};
        for (const FileRange& piece : reads.without(step)) {
            if (!reads.await_none_waiting()) continue;
            const auto from = static_cast<std::size_t>(piece.begin - range.begin);
            if (!store(piece.node, piece.begin, bytes.subspan(from, piece.size()))) return false;
            stored_bytes.fetch_add(piece.size(), std::memory_order_relaxed);
        }
    }
    return true;
}

}  // namespace squenv::fuse
