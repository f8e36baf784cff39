// SPDX-License-Identifier: MIT
#include "prefetch/page_cache.h"

#include <time.h>

#include <algorithm>

namespace squenv::prefetch {

namespace {
/// Bytes stored by one call, a multiple of every page size: some 10 us, in which few requests come.
constexpr std::uint64_t kStep = 64 << 10;
/// Requests that wait are received within some 100 us, unless there are more than can be served.
constexpr int kLooks = 20;
constexpr timespec kPause{0, 50'000};
}  // namespace

bool PageCache::await_no_request() const {
    for (int look = 0; look < kLooks; ++look) {
        if (!kernel_.are_requests_waiting()) return true;
        ::nanosleep(&kPause, nullptr);
    }
    return false;
}

bool PageCache::count(bool is_stored, std::size_t bytes) {
    if (is_stored) stored_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return is_stored;
}

bool PageCache::store(const FileRange& range, ByteView bytes) {
    // From the end on: a program that comes to these pages meanwhile waits at the first one for its
    // READ, which is soon known here. From the front on it would follow step by step, and meet
    // each.
    for (std::uint64_t end = range.end; end > range.begin;) {
        const std::uint64_t begin = std::max(range.begin, (end - 1) / kStep * kStep);
        const FileRange step{range.file, begin, end};
        end = begin;
        for (const FileRange& piece : reads_.without(step)) {
            if (!await_no_request()) continue;
            const ByteView part =
                bytes.subspan(static_cast<std::size_t>(piece.begin - range.begin), piece.size());
            if (!count(kernel_.store(piece.file, piece.begin, part), part.size())) return false;
        }
    }
    return true;
}

bool PageCache::store_file(FileId file, ByteView bytes) {
    if (bytes.empty() || reads_.overlaps({file, 0, bytes.size()})) return true;
    if (!kernel_.is_receiving())
        return await_no_request() && count(kernel_.store(file, 0, bytes), bytes.size());
    // A request that waits may have the pages locked, and is served before anything is stored.
    return !kernel_.are_requests_waiting() &&
           count(kernel_.store_while_receiving(file, 0, bytes), bytes.size());
}

}  // namespace squenv::prefetch
