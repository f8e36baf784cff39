// SPDX-License-Identifier: MIT
#include "prefetch/sequential_plan.h"

#include <algorithm>

#include "base/checked.h"

namespace squenv::prefetch {

namespace {

/// Requested without a gap before it counts as a stream.
constexpr std::uint64_t kStreamRun = 512 << 10;
constexpr std::uint64_t kFirstStreamWindow = 4 << 20;
/// The processors of a small machine have 10 ms of work in it.
constexpr std::uint64_t kMaxWindow = 16 << 20;
/// What the kernel reads ahead by itself: its requests for that may be under way already.
constexpr std::uint64_t kKernelAhead = 256 << 10;
constexpr std::uint64_t kMarkerPage = 4096;

}  // namespace

/// The entry of `file`, or the one that was used longest ago, emptied.
SequentialPlan::Stream& SequentialPlan::entry_of(FileId file) {
    auto found = std::find_if(streams_.begin(), streams_.end(),
                              [&](const Stream& stream) { return stream.file == file; });
    if (found == streams_.end()) {
        found = std::min_element(
            streams_.begin(), streams_.end(),
            [](const Stream& a, const Stream& b) { return a.last_use < b.last_use; });
        *found = {};
        found->file = file;
    }
    found->last_use = ++uses_;
    return *found;
}

const SequentialPlan::Stream* SequentialPlan::stream_of(FileId file) const {
    for (const Stream& stream : streams_)
        if (stream.file == file && stream.window != 0) return &stream;
    return nullptr;
}

SequentialPlan::Read SequentialPlan::on_read(const image::Inode& file, const FileRange& request,
                                             Clock::time_point now) {
    Stream& stream = entry_of(request.file);
    // The kernel's requests for one stream may overtake each other, and skip what is stored.
    const bool goes_on =
        stream.window == 0
            ? request.begin == stream.position
            : request.begin + kKernelAhead >= stream.position &&
                  request.begin <= std::max(stream.position, stream.next) + kKernelAhead;
    if (!goes_on) {
        stream.run = 0;
        stream.window = 0;
        stream.position = 0;
    }
    stream.run += request.size();
    stream.position = std::max(stream.position, request.end);
    if (stream.run < kStreamRun) return {};
    last_read_ = now;
    const bool has_moved = move_on(stream, file, request.begin);
    return {.is_stream = true, .has_moved = has_moved};
}

/// After a request of a stream, or the one that makes it one. False when the window stays.
bool SequentialPlan::move_on(Stream& stream, const image::Inode& file, std::uint64_t offset) {
    const bool is_new = stream.window == 0;
    if (is_new) stream.inode = std::make_shared<const image::Inode>(file);
    const bool is_late = offset >= stream.next;
    if (!is_new && !is_late && offset < stream.marker) return false;
    if (is_new || is_late) {
        // Blocks of which pages are requested already are not stored.
        stream.next = ceil_div(stream.position + kKernelAhead, block_size_) * block_size_;
    } else {
        stream.may_hold = true;
    }
    stream.window = std::clamp(stream.window * 2, kFirstStreamWindow, kMaxWindow);
    stream.end = std::min(stream.next + stream.window, stream.inode->size_bytes);
    stream.marker = (stream.next + stream.window / 2) / block_size_ * block_size_;
    return true;
}

SequentialPlan::Clock::time_point SequentialPlan::quiet_at() const {
    return last_read_ + kQuiet;
}

const SequentialPlan::Stream* SequentialPlan::next_stream() const {
    const Stream* best = nullptr;
    for (const Stream& stream : streams_)
        if (stream.window != 0 && stream.next < stream.end &&
            (best == nullptr || stream.last_use > best->last_use))
            best = &stream;
    return best;
}

std::vector<Job> SequentialPlan::take(std::size_t /*stored_bytes*/) {
    Stream* stream = own(next_stream());
    if (stream == nullptr) return {};
    const std::uint64_t begin = stream->next;
    stream->next += block_size_;
    const std::uint64_t end = std::min(stream->next, stream->inode->size_bytes);
    const std::uint64_t first =
        begin == stream->marker ? std::min(begin + kMarkerPage, end) : begin;
    const FileRange range{stream->file, first, end};
    claims_.push_back({++last_number_, range, false});
    return {{.number = last_number_, .file = stream->inode, .range = range}};
}

void SequentialPlan::begin_store(const Job& job) {
    for (Claim& claim : claims_)
        if (claim.number == job.number) claim.is_storing = true;
}

void SequentialPlan::finish(const Job& job, bool is_complete) {
    if (Stream* stream = own(stream_of(job.range.file)); !is_complete && stream != nullptr)
        *stream = {};
    std::erase_if(claims_, [&](const Claim& claim) { return claim.number == job.number; });
}

bool SequentialPlan::may_hold(const FileRange& request, bool is_idle) const {
    const Stream* stream = stream_of(request.file);
    if (stream == nullptr || !stream->may_hold || is_due(request, is_idle)) return false;
    // The thread that stores them may wait for these very pages.
    return std::none_of(claims_.begin(), claims_.end(), [&](const Claim& claim) {
        return claim.is_storing && claim.range.overlaps(request);
    });
}

/// Enough after it is stored, or nothing will be.
bool SequentialPlan::is_due(const FileRange& request, bool /*is_idle*/) const {
    const Stream* stream = stream_of(request.file);
    if (stream == nullptr) return true;
    std::uint64_t front = stream->next;
    for (const Claim& claim : claims_)
        if (claim.range.file == stream->file) front = std::min(front, claim.range.begin);
    return front >= std::min(request.end + kHoldAhead, stream->end);
}

/// When it is late, the processors have other work: requests that follow are answered at once.
void SequentialPlan::on_answer(const FileRange& request, bool is_late, Clock::time_point /*now*/) {
    if (Stream* stream = own(stream_of(request.file)); is_late && stream != nullptr)
        stream->may_hold = false;
}

}  // namespace squenv::prefetch
