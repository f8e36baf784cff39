// SPDX-License-Identifier: MIT
// What a worker thread carries while it takes requests: the token, its processor, its slow work.
#pragma once

#include <sched.h>

#include <atomic>

#include "base/slow_work.h"
#include "fuse/reader_token.h"
#include "prefetch/walk_phase.h"

namespace squenv::fuse {

/// The processor on which the tree walker runs and its requests are answered, while it is ahead.
struct WalkPlace {
    int processor = -1;  ///< -1: there is no walker
    const std::atomic<prefetch::WalkPhase>& phase;
    const cpu_set_t& all_processors;  ///< where threads may run otherwise

    [[nodiscard]] bool is_used() const { return phase == prefetch::WalkPhase::ahead; }
};

/// The worker of the calling thread. Not thread-safe: one per thread.
class Worker final : public SlowWorkObserver {
  public:
    Worker(ReaderToken& token, const WalkPlace& walk);
    ~Worker() override;

    /// Before the next request is read: takes the token, and goes where it is read best.
    void prepare();
    /// After a request was answered.
    void finish();
    /// Passes the token on when that is better; while the walker is ahead it keeps it.
    void on_slow_work() override;

    /// Lets another thread read requests, because this one has work that no request waits for.
    void give_token();

    /// The request that is being answered: whether others may follow at once. Python's question
    /// whether a file is a terminal is followed by work on what the page cache has.
    void note_request(bool may_be_followed) { may_be_followed_ = may_be_followed; }
    [[nodiscard]] bool may_be_followed() const { return may_be_followed_; }

    [[nodiscard]] bool has_token() const { return number_ != ReaderToken::kNone; }
    [[nodiscard]] ReaderToken::Number token_number() const { return number_; }
    /// The worker of this thread, or null on other threads.
    [[nodiscard]] static Worker* current();

  private:
    void run_on(int processor);

    ReaderToken& token_;
    const WalkPlace& walk_;
    ReaderToken::Number number_ = ReaderToken::kNone;
    bool was_slow_ = false;
    bool may_be_followed_ = true;
    /// Threads inherit the processors of the one that made them: nothing is known at first.
    static constexpr int kUnknown = -2;
    int processor_ = kUnknown;
};

}  // namespace squenv::fuse
