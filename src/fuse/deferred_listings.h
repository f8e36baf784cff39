// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace squenv::fuse {

/// Listings that users ask for while the warmer is about to have them in the kernel's cache
/// anyway. Answering each at once makes both slow, because they take turns on the directory;
/// answering after a moment lets the warmer get ahead, and the user then goes through what it
/// left without asking. Thread-safe.
class DeferredListings {
  public:
    using Clock = std::chrono::steady_clock;
    using Answer = std::function<void()>;

    /// Keeps `answer` for later. False when it is too late for that: answer now.
    [[nodiscard]] bool add(Answer answer);
    /// Runs what has waited long enough.
    void run_due();
    /// Runs everything; nothing is kept from now on.
    void close();

  private:
    struct Waiting {
        Answer answer;
        Clock::time_point since;
    };
    void run_older_than(Clock::time_point limit);

    std::mutex mutex_;  ///< protects the rest
    std::deque<Waiting> waiting_;
    bool is_closed_ = false;
};

}  // namespace squenv::fuse
