// SPDX-License-Identifier: MIT
#include "fuse/hot_sweep.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/background_threads.h"
#include "base/log.h"

namespace squenv::fuse {

namespace {

/// Stored bytes read at a time: little at first, so that decoding begins soon.
constexpr std::size_t kFirstChunk = 256 << 10;
constexpr std::size_t kMaxChunk = 4 << 20;
/// Chunks that wait to be decoded, besides the one being read.
constexpr std::size_t kMaxChunks = 2;
/// Bytes between two blocks that are read rather than skipped.
constexpr std::uint64_t kMaxGap = 128 << 10;
/// Content put into the page cache for a mount that nobody uses.
constexpr std::uint64_t kFirstWindow = 32 << 20;
/// Part of the machine's memory that hot content may take.
constexpr std::uint64_t kMemoryShare = 4;
/// How long a block waits for the kernel to hear of its files.
constexpr std::chrono::milliseconds kPatience{50};
/// Requests for what is not in the list after which it is another program that runs, and how many
/// more for each that is in the list.
constexpr unsigned kMostStrangers = 32;
constexpr unsigned kStrangersPerFollower = 4;
/// Requests for what is in the list that the beginning of a stream is good for.
constexpr unsigned kMostBeforeStream = 32;
/// Requests at the front that follow each other within this, so many times, are a program that
/// waits for nothing else.
constexpr std::chrono::milliseconds kContactGap{3};
constexpr unsigned kContactSign = 2;

std::uint64_t most_bytes() {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return kFirstWindow;
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) / kMemoryShare;
}

}  // namespace

HotSweep::HotSweep(const FileSystem& file_system, std::vector<appendix::HotItem> items,
                   StorePages store, HeldRequests& held, const UnansweredReads& reads)
    : file_system_(file_system),
      items_(std::move(items)),
      store_(std::move(store)),
      held_(held),
      reads_(reads),
      most_bytes_(most_bytes()),
      window_end_(kFirstWindow) {}

HotSweep::~HotSweep() {
    stop();
}

void HotSweep::start(unsigned decoders, const cpu_set_t& processors) {
    const bool is_complete =
        start_background_threads(threads_, 1, processors, [this] { read_ahead(); }) == 1 &&
        start_background_threads(threads_, decoders, processors, [this] { decode(); }) > 0;
    if (is_complete) return;
    // The system refuses threads: programs read what they need themselves.
    stop();
    if (on_quiet_) on_quiet_();
}

void HotSweep::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    has_room_.notify_all();
    has_chunk_.notify_all();
    has_nodes_.notify_all();
    threads_.clear();
    answer_due();
}

void HotSweep::wait_until_done() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] {
        return is_ending_ || (plan_.load() != nullptr && decoding_ == 0 && is_idle());
    });
}

void HotSweep::note_listing() {
    {
        const std::lock_guard lock(mutex_);
        ++listings_;
    }
    has_nodes_.notify_all();
}

void HotSweep::end_listing() {
    {
        const std::lock_guard lock(mutex_);
        is_listing_ = false;
    }
    has_nodes_.notify_all();
}

bool HotSweep::note_read(NodeId node, std::uint64_t offset) {
    const HotPlan* plan = plan_.load(std::memory_order_acquire);
    if (plan == nullptr) return false;
    const auto index = plan->find(node, offset);
    if (!index) {
        bool is_followed = true;
        {
            const std::lock_guard lock(mutex_);
            is_followed = ++strangers_ < kMostStrangers + kStrangersPerFollower * followers_;
        }
        if (!is_followed) hold();
        return false;
    }
    const std::uint64_t at = plan->blocks()[*index].bytes_before;
    const std::lock_guard lock(mutex_);
    ++followers_;
    if (is_read_ && chunks_.empty()) return false;
    window_end_ = std::max(window_end_, 2 * at + kFirstWindow);
    if (*index < claimed_) {
        // Being decoded, or decoded and not stored.
        has_room_.notify_one();
        return false;
    }
    const auto now = Clock::now();
    contacts_ = now - last_contact_ < kContactGap ? contacts_ + 1 : 0;
    last_contact_ = now;
    const bool may_hold = contacts_ >= kContactSign;
    ++(may_hold ? holds_ : jumps_);
    // The program reads this block itself, unless it waits.
    passed_ = std::max(passed_, may_hold ? *index : *index + 1);
    cursor_ = std::max(cursor_, passed_);
    has_room_.notify_one();
    has_nodes_.notify_all();
    return may_hold;
}

void HotSweep::note_stream() {
    {
        const std::lock_guard lock(mutex_);
        if (followers_ > kMostBeforeStream) return;
    }
    hold();
}

void HotSweep::hold() {
    {
        const std::lock_guard lock(mutex_);
        if (window_end_ == 0) return;
        window_end_ = 0;
        chunks_.clear();
        done_.notify_all();
    }
    if (on_quiet_) on_quiet_();
}

bool HotSweep::hold_read(const FileRange& range, std::function<void()> answer) {
    const std::lock_guard lock(mutex_);
    if (is_ending_ || is_idle()) return false;
    return held_.hold(HoldReason::read_at_hot_front, range,
                      [this, answer = std::move(answer)](bool /*is_late*/) {
                          {
                              const std::lock_guard guard(mutex_);
                              last_contact_ = Clock::now();
                          }
                          answer();
                      });
}

/// Nothing is being read or decoded, and nothing will be before somebody asks for more.
bool HotSweep::is_idle() const {
    return chunks_.empty() && !is_reading_ && (is_read_ || !has_more());
}

/// Answers held requests that have got what they waited for.
void HotSweep::answer_due() {
    std::vector<HeldRequests::Answer> due;
    {
        const std::lock_guard lock(mutex_);
        if (!is_holding()) return;
        const auto& blocks = plan_owner_->blocks();
        const std::uint64_t front =
            claimed_ < blocks.size() ? blocks[claimed_].bytes_before : ~std::uint64_t{0};
        due = held_.take(HoldReason::read_at_hot_front, [&](const FileRange& request) {
            const auto block = plan_owner_->find(request.node, request.begin);
            return is_ending_ || is_idle() || !block ||
                   front >= blocks[*block].bytes_before + kHoldAhead;
        });
    }
    for (const auto& answer : due) answer(false);
}

bool HotSweep::has_more() const {
    const auto& blocks = plan_owner_->blocks();
    return cursor_ < blocks.size() && blocks[cursor_].bytes_before < window_end_;
}

std::unique_ptr<HotSweep::Chunk> HotSweep::next_chunk(std::size_t stored_bytes) {
    const auto& blocks = plan_owner_->blocks();
    auto chunk = std::make_unique<Chunk>();
    std::size_t size = 0;
    while (cursor_ < blocks.size() && size < stored_bytes &&
           blocks[cursor_].bytes_before < window_end_) {
        size += blocks[cursor_].place.stored.size_bytes;
        chunk->pieces.push_back({cursor_, 0});
        ++cursor_;
    }
    return chunk;
}

/// Reads the blocks of a chunk by position, in as few pieces as possible. A piece that cannot be
/// read is left out: whoever asks for it gets the error.
void HotSweep::fill(Chunk& chunk) {
    const auto& blocks = plan_owner_->blocks();
    const auto place_of = [&](std::size_t piece) -> const image::BlockPlace& {
        return blocks[chunk.pieces[piece].block].place;
    };
    std::vector<std::size_t> order(chunk.pieces.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return place_of(a).position < place_of(b).position;
    });
    struct Run {
        std::uint64_t position;
        std::size_t begin;
        std::size_t size;
    };
    std::vector<Run> runs;
    std::size_t total = 0;
    std::uint64_t gaps_left = kMaxChunk;
    for (const std::size_t piece : order) {
        const std::uint64_t position = place_of(piece).position;
        const std::size_t size = place_of(piece).stored.size_bytes;
        const std::uint64_t end = runs.empty() ? 0 : runs.back().position + runs.back().size;
        const bool is_near = !runs.empty() && position >= end &&
                             position - end <= std::min(kMaxGap, gaps_left);
        if (is_near)
            gaps_left -= position - end;
        else
            runs.push_back({position, total, 0});
        Run& run = runs.back();
        const auto offset = static_cast<std::size_t>(position - run.position);
        chunk.pieces[piece].begin = run.begin + offset;
        run.size = offset + size;
        total = run.begin + run.size;
    }
    chunk.bytes.resize(total);
    for (const Run& run : runs) {
        const auto status = file_system_.image().source().read_exact(
            run.position, MutableBytes(chunk.bytes).subspan(run.begin, run.size));
        if (status) continue;
        std::erase_if(chunk.pieces, [&](const Chunk::Piece& piece) {
            return piece.begin >= run.begin && piece.begin < run.begin + run.size;
        });
    }
}

void HotSweep::read_ahead() {
    plan_owner_ = std::make_unique<HotPlan>(file_system_, items_, most_bytes_, is_ending_);
    items_ = std::vector<appendix::HotItem>();  // "= {}" would keep the memory
    plan_.store(plan_owner_.get(), std::memory_order_release);
    const auto& blocks = plan_owner_->blocks();
    log::debug("hot list: {} blocks, {} bytes", blocks.size(), plan_owner_->size_bytes());
    std::size_t size = kFirstChunk;
    for (;;) {
        std::shared_ptr<Chunk> chunk;
        {
            std::unique_lock lock(mutex_);
            has_room_.wait(lock, [&] {
                return is_ending_ || cursor_ >= blocks.size() ||
                       (chunks_.size() < kMaxChunks && has_more());
            });
            if (is_ending_ || cursor_ >= blocks.size()) break;
            chunk = next_chunk(size);
            is_reading_ = true;
        }
        size = std::min(size * 2, kMaxChunk);
        fill(*chunk);
        bool is_quiet = false;
        {
            const std::lock_guard lock(mutex_);
            is_reading_ = false;
            if (!chunk->pieces.empty()) chunks_.push_back(std::move(chunk));
            // What cannot be read is decoded by no thread that would say so.
            is_quiet = decoding_ == 0 && is_idle();
            has_chunk_.notify_all();
        }
        if (is_quiet && on_quiet_) on_quiet_();
    }
    bool is_quiet = false;
    {
        const std::lock_guard lock(mutex_);
        is_read_ = true;
        is_quiet = chunks_.empty() && decoding_ == 0;
        log::debug("hot list read: {} of {} bytes stored, {} requests for it, {} at the front, {} of "
                   "them held",
                   stored_bytes(), plan_owner_->size_bytes(), followers_, jumps_ + holds_,
                   holds_);
        has_chunk_.notify_all();
        done_.notify_all();
    }
    if (is_quiet && on_quiet_) on_quiet_();
}

void HotSweep::decode() {
    for (;;) {
        std::shared_ptr<Chunk> chunk;
        Chunk::Piece piece;
        {
            std::unique_lock lock(mutex_);
            has_chunk_.wait(lock, [&] { return is_ending_ || is_read_ || !chunks_.empty(); });
            if (is_ending_ || chunks_.empty()) break;
            chunk = chunks_.front();
            piece = chunk->pieces[chunk->next++];
            if (chunk->next == chunk->pieces.size()) {
                chunks_.pop_front();
                has_room_.notify_one();
            }
            claimed_ = std::max(claimed_, piece.block + 1);
            ++decoding_;
        }
        process(piece.block,
                ByteView(chunk->bytes)
                    .subspan(piece.begin,
                             plan_owner_->blocks()[piece.block].place.stored.size_bytes));
        answer_due();
        note_idle();
    }
    answer_due();
}

/// After a piece was dealt with.
void HotSweep::note_idle() {
    {
        const std::lock_guard lock(mutex_);
        if (--decoding_ != 0 || !is_idle()) return;
        done_.notify_all();
    }
    if (on_quiet_) on_quiet_();
}

void HotSweep::process(std::size_t index, ByteView stored) {
    {
        const std::lock_guard lock(mutex_);
        if (index < passed_) return;
    }
    const HotBlock& block = plan_owner_->blocks()[index];
    const auto decoded = file_system_.image().data().block(block.place, block.length, stored);
    if (!decoded) return;
    for (const HotPart& part : block.parts) {
        const ByteView bytes = (*decoded)->bytes();
        if (part.block_offset > bytes.size() || part.size_bytes > bytes.size() - part.block_offset)
            continue;
        if (!put(index, part, bytes.subspan(part.block_offset, part.size_bytes))) return;
    }
}

/// False when everything ends, or the rest of the block is not worth storing.
bool HotSweep::put(std::size_t block, const HotPart& part, ByteView bytes) {
    const auto end = Clock::now() + kPatience;
    const FileRange range{part.node, part.file_offset, part.file_offset + part.size_bytes};
    for (;;) {
        std::uint64_t seen = 0;
        {
            const std::lock_guard lock(mutex_);
            if (is_ending_ || passed_ > block) return false;
            seen = listings_;
        }
        if (store_range(store_, reads_, range, bytes, stored_bytes_)) return true;
        std::unique_lock lock(mutex_);
        if (!is_listing_ || is_holding()) return true;
        if (!has_nodes_.wait_until(lock, end, [&] {
                return is_ending_ || !is_listing_ || is_holding() || passed_ > block ||
                       listings_ != seen;
            }))
            return true;
    }
}

}  // namespace squenv::fuse
