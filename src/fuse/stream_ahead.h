// SPDX-License-Identifier: MIT
// Ahead of a program that reads a large file from one end to the other.
#pragma once

#include <array>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "fuse/held_requests.h"
#include "fuse/store_range.h"

namespace squenv::fuse {

/// The kernel reads ahead by 128 KiB, which is less than a block and keeps one processor busy at
/// most. When the requests for a file have followed each other for a while, the next blocks are
/// decoded on all processors and put into the page cache, where they take no request at all.
///
/// A request at the front is held (HeldRequests). When one has to wait for its limit, because the
/// processors have other work, those that follow are answered at once.
///
/// So that a reader who is never late is still heard of, the first page of some blocks is left
/// out: the request for it says that he has come so far, and the window moves on and grows. One
/// who stops leaves no more than a window behind.
///
/// Nothing is locked while a thread stores.
/// Thread-safe.
class StreamAhead {
  public:
    using Answer = std::function<void()>;

    StreamAhead(const FileSystem& file_system, StorePages store, HeldRequests& held,
                const UnansweredReads& reads);
    ~StreamAhead();

    /// Makes the threads; returns when all of them run. Threads may be made here only. Where the
    /// system refuses them, everything is as after stop().
    void start(unsigned decoders, const cpu_set_t& processors);
    /// A request for the content of `node`; true when it belongs to a stream.
    [[nodiscard]] bool note_read(NodeId node, std::uint64_t offset, std::uint64_t size);
    /// Runs `answer` of that request soon, on another thread. False: answer now.
    [[nodiscard]] bool hold_read(const FileRange& range, Answer answer);
    /// Runs `answer` when no stream is read any more, or after a quarter of a second: for requests
    /// that no program waits for. False: now.
    [[nodiscard]] bool hold_until_quiet(Answer answer);
    /// Ends the threads; what is under way is finished, what is held is answered.
    void stop();

    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    using Clock = HeldRequests::Clock;

    /// A file that is, or may be, read from one end to the other. All numbers are in bytes of it.
    struct Stream {
        NodeId node = 0;             ///< 0: no file
        std::uint64_t run = 0;       ///< requested so far without a gap
        std::uint64_t position = 0;  ///< behind the last request
        std::uint64_t next = 0;      ///< the first block that nobody has claimed
        std::uint64_t end = 0;       ///< of the window
        std::uint64_t window = 0;    ///< 0: not yet a stream
        std::uint64_t sign = 0;      ///< the block whose first page is left out
        std::uint64_t size = 0;      ///< of the file
        bool may_hold = true;
        std::uint64_t last_use = 0;
    };
    /// A block that a thread decodes and stores.
    struct Claim {
        FileRange range;
        bool is_storing = false;
    };
    // Called with mutex_ held.
    Stream& entry_of(NodeId node);
    [[nodiscard]] Stream* stream_of(NodeId node);
    void move_on(Stream& stream, std::uint64_t offset);
    [[nodiscard]] bool take_claim(std::list<Claim>::iterator& claim);
    [[nodiscard]] bool has_come_far(const FileRange& request);

    void decode();
    [[nodiscard]] bool store(std::list<Claim>::iterator claim);
    void answer_due();
    void note_late(NodeId node);

    const FileSystem& file_system_;
    const std::uint64_t block_size_;
    StorePages store_;
    HeldRequests& held_;
    const UnansweredReads& reads_;
    std::mutex mutex_;  ///< protects everything below
    std::condition_variable has_work_;
    static constexpr std::size_t kMaxStreams = 8;
    std::array<Stream, kMaxStreams> streams_{};
    std::uint64_t uses_ = 0;
    std::list<Claim> claims_;
    Clock::time_point last_read_{};  ///< of a stream
    bool is_ending_ = false;

    std::atomic<std::uint64_t> stored_bytes_{0};
    std::vector<std::jthread> threads_;
};

}  // namespace squenv::fuse
