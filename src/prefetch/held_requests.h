// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "prefetch/held_queue.h"

namespace squenv::prefetch {

/// The held requests of a session, and the threads that keep their limits. These threads store no
/// pages, list nothing and take no lock of their callers while they wait: each limit is kept even
/// when every other thread is stuck. Thread-safe. Its lock may be taken under a caller's lock.
class HeldRequests {
  public:
    using Clock = HeldQueue::Clock;
    using Answer = HeldQueue::Answer;

    HeldRequests() = default;
    HeldRequests(const HeldRequests&) = delete;
    HeldRequests& operator=(const HeldRequests&) = delete;
    ~HeldRequests();

    /// Makes the threads, which run on `processors`; returns when they run. Requests may be held
    /// before: their time is kept from here on. Nothing is ever held when no thread can be had.
    void start(const cpu_set_t& processors);
    /// Answers everything and ends the threads. Nothing is held from then on.
    void stop();

    /// Holds a request for `limit`, at most the limit of its reason. False: answer now.
    [[nodiscard]] bool hold(HoldReason reason, const FileRange& range, Answer answer) {
        return hold(reason, range, hold_limit(reason), std::move(answer));
    }
    [[nodiscard]] bool hold(HoldReason reason, const FileRange& range,
                            std::chrono::milliseconds limit, Answer answer);
    /// As HeldQueue::postpone().
    void postpone(HoldReason reason, Clock::time_point due);
    /// Takes out those of `reason` whose range is wanted. The caller runs the answers, without any
    /// lock of its own.
    [[nodiscard]] std::vector<Answer> take(HoldReason reason,
                                           const std::function<bool(const FileRange&)>& is_wanted);
    /// Answers all of `reason`; none is held for it any more.
    void end(HoldReason reason);

    [[nodiscard]] bool has(HoldReason reason) const;

  private:
    void keep_limits();

    mutable std::mutex mutex_;  ///< protects everything below but threads_
    std::condition_variable changed_;
    HeldQueue queue_;
    std::array<bool, kHoldReasons> is_ended_{};
    bool is_over_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace squenv::prefetch
