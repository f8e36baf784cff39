// SPDX-License-Identifier: MIT
#include "fuse/deferred_reads.h"

#include <algorithm>

namespace squenv::fuse {

bool store_pieces(const StorePages& store, const std::vector<FileRange>& pieces,
                  std::uint64_t offset, ByteView bytes, std::atomic<std::uint64_t>& stored_bytes) {
    for (const FileRange& piece : pieces) {
        const auto from = static_cast<std::size_t>(piece.begin - offset);
        if (!store(piece.node, piece.begin, bytes.subspan(from, piece.size()))) return false;
        stored_bytes.fetch_add(piece.size(), std::memory_order_relaxed);
    }
    return true;
}

void DeferredReads::add(const FileRange& range, Answer answer) {
    waiting_.push_back({range, Clock::now(), std::move(answer)});
}

bool DeferredReads::overlaps(const FileRange& range) const {
    return std::any_of(waiting_.begin(), waiting_.end(),
                       [&](const Waiting& request) { return request.range.overlaps(range); });
}

std::vector<FileRange> DeferredReads::without(const FileRange& range) const {
    std::vector<FileRange> pieces{range};
    for (const Waiting& request : waiting_) {
        const FileRange& out = request.range;
        std::vector<FileRange> left;
        for (const FileRange& piece : pieces) {
            if (!piece.overlaps(out)) {
                left.push_back(piece);
                continue;
            }
            if (piece.begin < out.begin) left.push_back({piece.node, piece.begin, out.begin});
            if (out.end < piece.end) left.push_back({piece.node, out.end, piece.end});
        }
        pieces = std::move(left);
    }
    return pieces;
}

std::vector<DeferredReads::Answer> DeferredReads::take(
    const std::function<bool(const FileRange&, bool is_late)>& is_due) {
    const auto limit = Clock::now() - kPatience;
    std::vector<Answer> due;
    std::erase_if(waiting_, [&](Waiting& request) {
        if (!is_due(request.range, request.since <= limit)) return false;
        due.push_back(std::move(request.answer));
        return true;
    });
    return due;
}

}  // namespace squenv::fuse
