// SPDX-License-Identifier: MIT
#include "prefetch/pool.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "base/background_threads.h"
#include "base/checked.h"

namespace squenv::prefetch {

namespace {
/// Chunks that wait to be decoded, besides the one being read.
constexpr std::size_t kMaxChunks = 2;
/// How long a block waits for the kernel to hear of its files.
constexpr std::chrono::milliseconds kNodeWait{50};
}  // namespace

void Pool::start(unsigned decoders, const cpu_set_t& processors) {
    // Without threads nothing may be held, because nothing is decoded.
    if (start_background_threads(threads_, decoders, processors, [this] { decode(); }) == 0 &&
        decoders != 0)
        stop();
}

void Pool::start(unsigned decoders, const cpu_set_t& processors, Reader reader) {
    has_reader_ = true;
    const auto read = [this, reader = std::move(reader)] { read_ahead(reader); };
    const bool is_complete =
        start_background_threads(threads_, 1, processors, read) == 1 &&
        start_background_threads(threads_, decoders, processors, [this] { decode(); }) > 0;
    if (is_complete) return;
    stop();
    tell_idle();
}

void Pool::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    has_room_.notify_all();
    has_work_.notify_all();
    may_store_.notify_all();
    threads_.clear();
    pages_.held().end(plan_.hold_reason());
}

void Pool::drop_read() {
    chunks_.clear();
    image_.source().expect({});
    done_.notify_all();
}

void Pool::note_nodes() {
    {
        const std::lock_guard lock(mutex_);
        ++node_changes_;
    }
    may_store_.notify_all();
}

void Pool::wait_until_idle() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return is_ending_ || (has_begun_ && decoding_ == 0 && is_idle()); });
}

bool Pool::hold(const FileRange& request, Answer answer) {
    const std::lock_guard lock(mutex_);
    if (is_ending_ || !plan_.may_hold(request, is_idle())) return false;
    return pages_.held().hold(
        plan_.hold_reason(), request, [this, request, answer = std::move(answer)](bool is_late) {
            locked([&] { plan_.on_answer(request, is_late, Plan::Clock::now()); });
            answer();
        });
}

/// Held requests that have got what they waited for.
std::vector<HeldRequests::Answer> Pool::take_due() {
    const HoldReason reason = plan_.hold_reason();
    if (!pages_.held().has(reason)) return {};
    return pages_.held().take(reason, [&](const FileRange& request) {
        return is_ending_ || plan_.is_due(request, is_idle());
    });
}

/// Nothing is being read or waits to be decoded, and nothing will without more requests.
bool Pool::is_idle() const {
    return chunks_.empty() && !is_reading_ && (is_read_ || !plan_.has_job());
}

bool Pool::has_work() const {
    return has_reader_ ? !chunks_.empty() : plan_.has_job();
}

void Pool::read_ahead(const Reader& reader) {
    std::size_t size = kFirstChunkBytes;
    try {
        reader.on_begin();
        locked([&] {
            has_begun_ = true;
            done_.notify_all();  // a plan that is suspended already has nothing to do
        });
        while (read_next(size)) size = std::min(size * 2, kMaxChunkBytes);
    } catch (const std::bad_alloc&) {
        // The rest is read when it is wanted.
        locked([&] {
            has_begun_ = true;
            is_reading_ = false;
        });
    }
    end_reading(reader);
}

/// False when nothing is left to read.
bool Pool::read_next(std::size_t stored_bytes) {
    std::vector<Job> jobs;
    {
        std::unique_lock lock(mutex_);
        has_room_.wait(lock, [&] {
            return is_ending_ || plan_.is_finished() ||
                   (chunks_.size() < kMaxChunks && plan_.has_job());
        });
        if (is_ending_ || plan_.is_finished()) return false;
        jobs = plan_.take(stored_bytes);
        is_reading_ = true;
    }
    auto chunk = std::make_shared<Chunk>(read_chunk(image_.source(), std::move(jobs)));
    bool is_quiet = false;
    {
        const std::lock_guard lock(mutex_);
        is_reading_ = false;
        if (!plan_.has_job()) image_.source().expect({});
        if (!chunk->pieces.empty()) chunks_.push_back(std::move(chunk));
        // What cannot be read is decoded by no thread that would say so.
        is_quiet = decoding_ == 0 && is_idle();
        if (is_quiet) done_.notify_all();
        has_work_.notify_all();
    }
    if (is_quiet) tell_idle();
    return true;
}

void Pool::end_reading(const Reader& reader) {
    bool is_quiet = false;
    {
        const std::lock_guard lock(mutex_);
        is_read_ = true;
        is_quiet = chunks_.empty() && decoding_ == 0;
        reader.on_end();
        has_work_.notify_all();
        done_.notify_all();
    }
    if (is_quiet) tell_idle();
}

Pool::Work Pool::take_work() {
    if (!has_reader_) return {std::move(plan_.take(1).front()), nullptr, {}};
    const auto chunk = chunks_.front();
    const Chunk::Piece& piece = chunk->pieces[chunk->next++];
    if (chunk->next == chunk->pieces.size()) {
        chunks_.pop_front();
        has_room_.notify_one();
    }
    return {piece.job, chunk, chunk->stored_of(piece)};
}

void Pool::decode() {
    for (;;) {
        Work work;
        {
            std::unique_lock lock(mutex_);
            has_work_.wait(lock, [&] { return is_ending_ || is_read_ || has_work(); });
            if (is_ending_ || !has_work()) break;
            work = take_work();
            plan_.begin(work.job);
            ++decoding_;
        }
        process(work);
    }
    for (const auto& answer : locked([&] { return take_due(); })) answer(false);
}

/// Without memory nothing is stored ahead, and the mount lives on.
bool Pool::store(const Work& work) {
    try {
        return work.job.block != nullptr ? store_block(work, *work.job.block) : store_range(work);
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void Pool::process(const Work& work) {
    const bool is_complete = store(work);
    const auto due = locked([&] {
        plan_.finish(work.job, is_complete);
        return take_due();
    });
    for (const auto& answer : due) answer(false);
    bool is_quiet = false;
    {
        const std::lock_guard lock(mutex_);
        is_quiet = --decoding_ == 0 && is_idle();
        if (is_quiet) done_.notify_all();
    }
    if (is_quiet) tell_idle();
}

/// The blocks of a range. Those that requests wait for are kept: they are answered from them.
bool Pool::store_range(const Work& work) {
    const FileRange& range = work.job.range;
    if (range.size() == 0) return true;
    const bool is_kept = pages_.reads().overlaps(range);
    std::vector<image::StoredPart> parts;
    if (!image_.data().visit_stored(*work.job.file, range.begin, range.size(),
                                    [&](const image::StoredPart& part) { parts.push_back(part); }))
        return false;
    for (const image::StoredPart& part : parts) {
        const Part wanted{range.file, part.file_offset, part.block_offset, part.size_bytes};
        const auto found = image_.data().block(part.place, part.length, {.is_kept = is_kept});
        if (!found || !store_part(work.job, wanted, found->block->bytes())) return false;
    }
    return true;
}

bool Pool::store_block(const Work& work, const PlannedBlock& block) {
    if (!locked([&] { return plan_.is_wanted(work.job); })) return false;
    const bool is_kept = target_ == Target::block_cache;
    const auto found =
        image_.data().block(block.place, block.length, {.is_kept = is_kept, .stored = work.stored});
    if (!found) return false;
    if (is_kept) return true;
    return std::all_of(block.parts.begin(), block.parts.end(), [&](const Part& part) {
        return store_part(work.job, part, found->block->bytes());
    });
}

/// What is refused may be accepted later, when the tree walker has told the kernel of it.
bool Pool::may_wait() const {
    return plan_.refused() == Plan::Refused::wait && !pages_.held().has(plan_.hold_reason());
}

/// False when the rest of the job is not worth storing.
bool Pool::store_part(const Job& job, const Part& part, ByteView block) {
    // An image can say that a part lies outside its block.
    if (!fits(part.block_offset, part.size_bytes, block.size())) return job.block != nullptr;
    const ByteView bytes = block.subspan(part.block_offset, part.size_bytes);
    const FileRange range{part.file, part.file_offset, part.file_offset + part.size_bytes};
    const auto end = Plan::Clock::now() + kNodeWait;
    for (;;) {
        std::uint64_t seen = 0;
        {
            const std::lock_guard lock(mutex_);
            if (is_ending_ || !plan_.is_wanted(job)) return false;
            plan_.begin_store(job);
            seen = node_changes_;
        }
        if (pages_.store(range, bytes)) return true;
        std::unique_lock lock(mutex_);
        if (!may_wait()) return plan_.refused() != Plan::Refused::stop;
        const bool has_changed = may_store_.wait_until(lock, end, [&] {
            return is_ending_ || !may_wait() || !plan_.is_wanted(job) || node_changes_ != seen;
        });
        if (!has_changed) return true;
    }
}

}  // namespace squenv::prefetch
