// SPDX-License-Identifier: MIT
// Whose turn it is to read /dev/fuse.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace squenv::fuse {

/// One thread at a time waits for requests, and it stays the same one as long as requests are
/// quick. The kernel wakes waiting readers in rotation; with several of them each request of a
/// burst starts on another, sleeping processor, which costs 50 us on a virtual machine where the
/// answer takes 5 (measured: a cold find over 2,455 directories 105 ms with one waiting thread,
/// 350 ms with four). A thread passes the turn on before it does something slow, but only when
/// another request is waiting already or was during the last slow spell.
/// Thread-safe.
class ReaderTurn {
  public:
    explicit ReaderTurn(int device) : device_(device) {}

    /// Waits for the turn.
    void take();
    void pass();
    /// Whether slow work should be done beside a new reader rather than in front of it.
    [[nodiscard]] bool should_pass();
    /// After slow work that was done with the turn kept: looks whether anybody had to wait.
    void note_end_of_slow_work();

  private:
    [[nodiscard]] bool is_request_waiting() const;

    const int device_;
    std::mutex mutex_;  ///< protects is_taken_
    std::condition_variable passed_;
    bool is_taken_ = false;
    /// Slow spells left in which the turn is passed on at once; set when a request had to wait.
    std::atomic<int> parallel_spells_{0};
};

}  // namespace squenv::fuse
