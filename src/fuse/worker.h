// SPDX-License-Identifier: MIT
// What a worker thread carries while it takes requests: its turn, its processor, its slow work.
#pragma once

#include <sched.h>

#include <atomic>

#include "base/slow_work.h"
#include "fuse/reader_turn.h"

namespace squenv::fuse {

/// Where the threads of a session run until its warming ends.
struct Warming {
    int processor = -1;  ///< the one the warmer runs on, or -1: no warming
    std::atomic<pid_t> pid{-1};
    std::atomic<bool> is_under_way{false};
};

/// The worker of the calling thread. Not thread-safe: one per thread.
class Worker final : public SlowWorkObserver {
  public:
    /// `all_processors` is where the thread may run when nothing is warmed.
    Worker(ReaderTurn& turn, const Warming& warming, const cpu_set_t& all_processors);
    ~Worker() override;

    /// Before the next request is read: takes the turn, and goes where it is read best.
    void prepare();
    /// After a request was answered.
    void finish();
    /// Passes the turn on when that is better; while the mount is warmed it stays on its processor.
    void on_slow_work() override;

    /// Lets another thread read requests, because this one has work that nobody waits for.
    void give_turn();

    /// The request that is being answered: whether others may follow at once. Python's question
    /// whether a file is a terminal is followed by work on what the page cache has.
    void note_request(bool may_be_followed) { may_be_followed_ = may_be_followed; }
    [[nodiscard]] bool may_be_followed() const { return may_be_followed_; }

    [[nodiscard]] bool has_turn() const { return number_ != ReaderTurn::kNone; }
    [[nodiscard]] ReaderTurn::Number turn_number() const { return number_; }
    /// The worker of this thread, or null on other threads.
    [[nodiscard]] static Worker* current();

  private:
    void run_on(int processor);

    ReaderTurn& turn_;
    const Warming& warming_;
    ReaderTurn::Number number_ = ReaderTurn::kNone;
    bool was_slow_ = false;
    bool may_be_followed_ = true;
    const cpu_set_t& all_processors_;
    /// Threads inherit the processors of the one that made them: nothing is known at first.
    static constexpr int kUnknown = -2;
    int processor_ = kUnknown;
};

}  // namespace squenv::fuse
