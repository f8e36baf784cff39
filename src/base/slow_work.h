// SPDX-License-Identifier: MIT
// A thread that takes requests tells here that it is about to be away for a while.
#pragma once

namespace squenv {

/// Called by whatever is about to take 50 us or more (decoding a block, reading from storage).
/// Runs the observer of the calling thread, if it has one. Thread-safe: everything is per thread.
void announce_slow_work();

/// Who wants to know, for the thread that it is made on and as long as it lives.
class SlowWorkObserver {
  public:
    SlowWorkObserver();
    virtual ~SlowWorkObserver();
    SlowWorkObserver(const SlowWorkObserver&) = delete;
    SlowWorkObserver& operator=(const SlowWorkObserver&) = delete;
    virtual void on_slow_work() = 0;

  private:
    SlowWorkObserver* previous_;
};

}  // namespace squenv
