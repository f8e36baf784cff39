// SPDX-License-Identifier: MIT
// A thread that takes requests announces here that it is about to be busy for a while.
#pragma once

namespace squenv {

/// Called by code that is about to take 50 us or more (decoding a block, reading from storage).
/// Runs the observer of the calling thread, if it has one. Thread-safe: everything is per thread.
void announce_slow_work();

/// The observer of the thread that creates it, for as long as the object lives.
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
