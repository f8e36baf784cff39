// SPDX-License-Identifier: MIT
#include "prefetch/unanswered_reads.h"

#include <algorithm>
#include <utility>

namespace squenv::prefetch {

UnansweredReads::Entry::Entry(UnansweredReads& reads, const FileRange& range)
    : reads_(reads), range_(range) {
    const std::lock_guard lock(reads_.mutex_);
    reads_.ranges_.push_back(range_);
}

UnansweredReads::Entry::~Entry() {
    const std::lock_guard lock(reads_.mutex_);
    auto& ranges = reads_.ranges_;
    ranges.erase(std::find(ranges.begin(), ranges.end(), range_));
}

bool UnansweredReads::overlaps(const FileRange& range) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const FileRange& read) { return read.overlaps(range); });
}

std::vector<FileRange> UnansweredReads::without(const FileRange& range) const {
    std::vector<FileRange> pieces{range};
    const std::lock_guard lock(mutex_);
    for (const FileRange& out : ranges_) {
        if (!out.overlaps(range)) continue;
        std::vector<FileRange> left;
        for (const FileRange& piece : pieces) {
            if (!piece.overlaps(out)) {
                left.push_back(piece);
                continue;
            }
            if (piece.begin < out.begin) left.push_back({piece.file, piece.begin, out.begin});
            if (out.end < piece.end) left.push_back({piece.file, out.end, piece.end});
        }
        pieces = std::move(left);
    }
    return pieces;
}

}  // namespace squenv::prefetch
