// SPDX-License-Identifier: MIT
#include "fuse/stream_ahead.h"

#include <algorithm>

#include "base/background_threads.h"
#include "base/checked.h"

namespace squenv::fuse {

namespace {

/// Requested without a gap before it counts as a stream.
constexpr std::uint64_t kStreamSign = 512 << 10;
constexpr std::uint64_t kFirstWindow = 4 << 20;
/// The processors of a small machine have 10 ms of work in it.
constexpr std::uint64_t kMaxWindow = 16 << 20;
/// What the kernel reads ahead by itself: its requests for that may be under way already.
constexpr std::uint64_t kKernelAhead = 256 << 10;
/// Without a request for this long, a stream is no more.
constexpr std::chrono::milliseconds kQuiet{20};
constexpr std::uint64_t kPage = 4096;

}  // namespace

StreamAhead::StreamAhead(const FileSystem& file_system, StorePages store, HeldRequests& held,
                         const UnansweredReads& reads)
    : file_system_(file_system),
      block_size_(file_system.image().superblock().block_size),
      store_(std::move(store)),
      held_(held),
      reads_(reads) {}

StreamAhead::~StreamAhead() {
    stop();
}

void StreamAhead::start(unsigned decoders, const cpu_set_t& processors) {
    // The system refuses threads: nothing may be held then, because nothing is decoded.
    if (start_background_threads(threads_, decoders, processors, [this] { decode(); }) == 0 &&
        decoders != 0)
        stop();
}

void StreamAhead::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    has_work_.notify_all();
    threads_.clear();
    held_.end(HoldReason::read_at_stream_front);
    held_.end(HoldReason::warmer_beside_stream);
}

/// The entry of `node`, or the one that was used longest ago, emptied.
StreamAhead::Stream& StreamAhead::entry_of(NodeId node) {
    auto found = std::find_if(streams_.begin(), streams_.end(),
                              [&](const Stream& stream) { return stream.node == node; });
    if (found == streams_.end()) {
        found = std::min_element(
            streams_.begin(), streams_.end(),
            [](const Stream& a, const Stream& b) { return a.last_use < b.last_use; });
        *found = {};
        found->node = node;
    }
    found->last_use = ++uses_;
    return *found;
}

StreamAhead::Stream* StreamAhead::stream_of(NodeId node) {
    for (Stream& stream : streams_)
        if (stream.node == node && stream.window != 0) return &stream;
    return nullptr;
}

bool StreamAhead::note_read(NodeId node, std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    Stream& stream = entry_of(node);
    // The kernel's requests for one stream may overtake each other, and skip what is stored.
    const bool goes_on = stream.window == 0
                             ? offset == stream.position
                             : offset + kKernelAhead >= stream.position &&
                                   offset <= std::max(stream.position, stream.next) + kKernelAhead;
    if (!goes_on) {
        stream.run = 0;
        stream.window = 0;
        stream.position = 0;
    }
    stream.run += size;
    stream.position = std::max(stream.position, offset + size);
    if (stream.run < kStreamSign) return false;
    last_read_ = Clock::now();
    held_.postpone(HoldReason::warmer_beside_stream, last_read_ + kQuiet);
    move_on(stream, offset);
    return stream.window != 0;
}

/// After a request of a stream, or the one that makes it one.
void StreamAhead::move_on(Stream& stream, std::uint64_t offset) {
    const bool is_new = stream.window == 0;
    if (is_new) {
        const auto attributes = file_system_.attributes(stream.node);
        if (!attributes) return;
        stream.size = static_cast<std::uint64_t>(attributes->st_size);
    }
    const bool is_late = offset >= stream.next;
    if (!is_new && !is_late && offset < stream.sign) return;
    if (is_new || is_late) {
        // Blocks of which pages are requested already are not stored.
        stream.next = ceil_div(stream.position + kKernelAhead, block_size_) * block_size_;
    } else {
        stream.may_hold = true;
    }
    stream.window = std::clamp(stream.window * 2, kFirstWindow, kMaxWindow);
    stream.end = std::min(stream.next + stream.window, stream.size);
    stream.sign = (stream.next + stream.window / 2) / block_size_ * block_size_;
    has_work_.notify_all();
}

bool StreamAhead::hold_read(const FileRange& range, Answer answer) {
    const std::lock_guard lock(mutex_);
    const Stream* stream = stream_of(range.node);
    if (is_ending_ || stream == nullptr || !stream->may_hold) return false;
    if (has_come_far(range)) return false;
    // The thread that stores them may wait for these very pages.
    for (const Claim& claim : claims_)
        if (claim.is_storing && claim.range.overlaps(range)) return false;
    return held_.hold(HoldReason::read_at_stream_front, range,
                      [this, node = range.node, answer = std::move(answer)](bool is_late) {
                          if (is_late) note_late(node);
                          answer();
                      });
}

/// The processors have other work: requests that follow are answered at once.
void StreamAhead::note_late(NodeId node) {
    const std::lock_guard lock(mutex_);
    if (Stream* stream = stream_of(node); stream != nullptr) stream->may_hold = false;
}

bool StreamAhead::hold_until_quiet(Answer answer) {
    const std::lock_guard lock(mutex_);
    if (is_ending_ || last_read_ + kQuiet <= Clock::now()) return false;
    return held_.hold(HoldReason::warmer_beside_stream, {}, kQuiet,
                      [answer = std::move(answer)](bool /*is_late*/) { answer(); });
}

/// Enough behind it is stored, or nothing will be.
bool StreamAhead::has_come_far(const FileRange& request) {
    const Stream* stream = stream_of(request.node);
    if (stream == nullptr) return true;
    std::uint64_t front = stream->next;
    for (const Claim& claim : claims_)
        if (claim.range.node == stream->node) front = std::min(front, claim.range.begin);
    return front >= std::min(request.end + kHoldAhead, stream->end);
}

/// Claims the next block of the stream that was used last.
bool StreamAhead::take_claim(std::list<Claim>::iterator& claim) {
    Stream* best = nullptr;
    for (Stream& stream : streams_)
        if (stream.window != 0 && stream.next < stream.end &&
            (best == nullptr || stream.last_use > best->last_use))
            best = &stream;
    if (best == nullptr) return false;
    const std::uint64_t begin = best->next;
    best->next += block_size_;
    const std::uint64_t end = std::min(best->next, best->size);
    const std::uint64_t first = begin == best->sign ? std::min(begin + kPage, end) : begin;
    claim = claims_.insert(claims_.end(), {{best->node, first, end}, false});
    return true;
}

void StreamAhead::decode() {
    std::unique_lock lock(mutex_);
    for (;;) {
        std::list<Claim>::iterator claim;
        has_work_.wait(lock, [&] { return is_ending_ || take_claim(claim); });
        if (is_ending_) return;
        lock.unlock();
        const bool is_stored = store(claim);
        lock.lock();
        if (Stream* stream = stream_of(claim->range.node); !is_stored && stream != nullptr)
            *stream = {};
        claims_.erase(claim);
        lock.unlock();
        answer_due();
        lock.lock();
    }
}

/// False when there is no use in going on with this file: what cannot be read is an error for
/// whoever asks for it.
bool StreamAhead::store(std::list<Claim>::iterator claim) {
    const auto node = claim->range.node;
    if (claim->range.size() == 0) return true;
    // Requests that wait will be answered from blocks that are kept.
    const bool is_awaited = reads_.overlaps(claim->range);
    std::vector<image::StoredPart> parts;
    if (!file_system_.visit_stored(node, claim->range.begin, claim->range.size(),
                                   [&](const image::StoredPart& part) { parts.push_back(part); }))
        return false;
    for (const image::StoredPart& part : parts) {
        const auto block = file_system_.image().data().block(part.place, part.length, is_awaited);
        if (!block || !fits(part.block_offset, part.size_bytes, (*block)->bytes().size()))
            return false;
        {
            const std::lock_guard lock(mutex_);
            if (is_ending_) return false;
            claim->is_storing = true;
        }
        if (!store_range(store_, reads_,
                         {node, part.file_offset, part.file_offset + part.size_bytes},
                         (*block)->bytes().subspan(part.block_offset, part.size_bytes),
                         stored_bytes_))
            return false;
    }
    return true;
}

/// Answers requests behind which enough is stored.
void StreamAhead::answer_due() {
    std::vector<HeldRequests::Answer> due;
    {
        const std::lock_guard lock(mutex_);
        due = held_.take(HoldReason::read_at_stream_front,
                         [&](const FileRange& request) { return has_come_far(request); });
    }
    for (const auto& answer : due) answer(false);
}

}  // namespace squenv::fuse
