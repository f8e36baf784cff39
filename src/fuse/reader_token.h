// SPDX-License-Identifier: MIT
// Which thread reads /dev/fuse: the Leader/Followers pattern.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "base/unique_fd.h"

namespace squenv::fuse {

/// The Leader/Followers pattern: one thread at a time, the leader, has the token and waits for
/// requests; the others wait for the token. The leader stays the same one as long as requests are
/// quick. The kernel wakes waiting readers in rotation; with several of them each request of a
/// burst starts on another, sleeping processor, which costs 50 us on a virtual machine where the
/// answer takes 5. A thread passes the token on before it does something slow, but only when
/// another request is waiting already or was during one of the last slow spells.
/// Thread-safe.
class ReaderToken {
  public:
    /// `device` is only asked whether requests wait, never read.
    [[nodiscard]] static Result<std::unique_ptr<ReaderToken>> create(int device);
    ~ReaderToken();

    /// Each taking has a number, so that a token that was taken away is not passed on twice.
    using Number = std::uint64_t;
    static constexpr Number kNone = 0;

    /// Waits for the token.
    [[nodiscard]] Number take();
    /// Lets another thread have it. Nothing happens when it was taken away before.
    void pass(Number number);
    [[nodiscard]] bool is_held(Number number);

    /// Starts the thread that serves guards. Threads may be made here only. False when the system
    /// refuses it: nothing may be guarded then.
    [[nodiscard]] bool start_relief();
    /// While a guard lives, its thread may wait for something that only another reader can bring
    /// about; if that takes longer than a moment, the token is given to another thread.
    class Guard {
      public:
        Guard(ReaderToken& token, Number number);
        ~Guard();
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;

      private:
        ReaderToken& token_;
    };

    [[nodiscard]] bool is_request_waiting() const;
    /// Whether slow work should be done beside a new reader rather than in front of it.
    [[nodiscard]] bool should_pass();
    /// After slow work that was done with the token kept: looks whether a request had to wait.
    void note_end_of_slow_work();

  private:
    ReaderToken(int device, UniqueFd timer) : device_(device), timer_(std::move(timer)) {}
    void set_timer(long nanoseconds) const;
    void relieve();

    const int device_;
    UniqueFd timer_;
    std::mutex mutex_;  ///< protects holder_, last_ and guarded_
    std::condition_variable passed_;
    Number holder_ = kNone;
    Number last_ = kNone;
    Number guarded_ = kNone;
    std::atomic<bool> is_ending_{false};
    /// Slow spells left in which the token is passed on at once; set when a request had to wait.
    std::atomic<int> parallel_spells_{0};
    std::jthread relief_;
};

}  // namespace squenv::fuse
