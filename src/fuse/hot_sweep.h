// SPDX-License-Identifier: MIT
// Ahead of a program whose start was recorded: its blocks are read in few large pieces, decoded,
// and put into the page cache before it asks for them.
#pragma once

#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "fuse/held_requests.h"
#include "fuse/hot_plan.h"
#include "fuse/store_range.h"

namespace squenv::fuse {

/// One thread reads the image in the order of the list, others decode and store. They go so far
/// ahead as the requests show that somebody follows: a window at first, and twice as far as the
/// last block of the list that a program asked for. Who is ahead of the sweep makes it jump.
///
/// A program that has come to the front again and again is one that waits for nothing else, and
/// its requests are held (HeldRequests).
///
/// Nothing is locked while a thread stores.
/// Thread-safe.
class HotSweep {
  public:
    HotSweep(const FileSystem& file_system, std::vector<appendix::HotItem> items, StorePages store,
             HeldRequests& held, const UnansweredReads& reads);
    ~HotSweep();

    /// Makes the threads; returns when all of them run. Threads may be made here only. Where the
    /// system refuses them, everything is as after stop().
    void start(unsigned decoders, const cpu_set_t& processors);
    /// A request for the content of `node`; true when it may be held.
    [[nodiscard]] bool note_read(NodeId node, std::uint64_t offset);
    /// Runs `answer` soon, on another thread. False when it is too late for that.
    [[nodiscard]] bool hold_read(const FileRange& range, std::function<void()> answer);
    /// A request of a program that reads a large file from one end to the other. When that is what
    /// it begins with, it is not the one that was recorded.
    void note_stream();
    /// Users only list directories, or do something else than what was recorded: nothing more is
    /// done until somebody reads what is in the list.
    void hold();
    /// The kernel was told of more nodes.
    void note_listing();
    /// Nobody will tell the kernel of nodes any more but the programs themselves.
    void end_listing();
    /// Ends the threads; what is under way is finished.
    void stop();
    /// Called once everything is stored that will be, unless requests show that more is wanted.
    /// Before start().
    void on_quiet(std::function<void()> call) { on_quiet_ = std::move(call); }
    /// Waits until everything is stored that will be, unless requests show that more is wanted.
    void wait_until_done();

    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    /// Stored bytes of several blocks of the plan, which are decoded one after the other.
    struct Chunk {
        struct Piece {
            std::size_t block = 0;
            std::size_t begin = 0;  ///< in the bytes
        };
        std::vector<std::byte> bytes;
        std::vector<Piece> pieces;  ///< in the order of the plan
        std::size_t next = 0;       ///< the first one nobody has taken
    };

    void read_ahead();
    void decode();
    [[nodiscard]] std::unique_ptr<Chunk> next_chunk(std::size_t stored_bytes);
    void fill(Chunk& chunk);
    void process(std::size_t index, ByteView stored);
    [[nodiscard]] bool put(std::size_t block, const HotPart& part, ByteView bytes);
    void answer_due();
    /// Called with mutex_ held.
    [[nodiscard]] bool is_idle() const;
    [[nodiscard]] bool has_more() const;
    [[nodiscard]] bool is_holding() const { return held_.has(HoldReason::read_at_hot_front); }

    using Clock = HeldRequests::Clock;
    const FileSystem& file_system_;
    std::vector<appendix::HotItem> items_;
    StorePages store_;
    HeldRequests& held_;
    const UnansweredReads& reads_;
    std::function<void()> on_quiet_;
    const std::uint64_t most_bytes_;  ///< asked of the system before the sandbox forbids that
    std::unique_ptr<const HotPlan> plan_owner_;
    std::atomic<const HotPlan*> plan_{nullptr};  ///< set once

    std::mutex mutex_;  ///< protects everything below
    std::condition_variable has_room_;   ///< for the reader
    std::condition_variable has_chunk_;  ///< for the decoders
    std::condition_variable has_nodes_;
    std::deque<std::shared_ptr<Chunk>> chunks_;
    std::size_t cursor_ = 0;  ///< the next block to read
    std::size_t claimed_ = 0;  ///< behind the last block that a decoder took
    std::size_t passed_ = 0;   ///< a program is here; what is before is not worth storing
    Clock::time_point last_contact_{};
    unsigned contacts_ = 0;  ///< shortly after each other
    unsigned long holds_ = 0;
    unsigned long jumps_ = 0;
    unsigned followers_ = 0;  ///< requests for what is in the list
    unsigned strangers_ = 0;  ///< and for what is not
    std::uint64_t window_end_ = 0;  ///< in bytes of the plan
    bool is_read_ = false;    ///< nothing is left to read
    bool is_reading_ = false;
    unsigned decoding_ = 0;  ///< threads that do
    std::condition_variable done_;
    void note_idle();
    std::atomic<bool> is_ending_{false};  ///< set with mutex_ held
    bool is_listing_ = true;
    std::uint64_t listings_ = 0;

    std::atomic<std::uint64_t> stored_bytes_{0};
    std::vector<std::jthread> threads_;
};

}  // namespace squenv::fuse
