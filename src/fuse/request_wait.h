// SPDX-License-Identifier: MIT
#pragma once

namespace squenv::fuse {

/// How the thread that has the token waits for the next request. In a burst it looks repeatedly
/// for a moment before it sleeps: waking a sleeping thread on another processor takes 30 us, which
/// is half of a round trip. A program that thinks between its requests is slept for at once.
/// Not thread-safe: one per thread.
class RequestWait {
  public:
    explicit RequestWait(int device) : device_(device) {}
    /// Returns when the device is readable or the connection has ended. `may_spin` is false where
    /// looking would keep the program itself from running.
    void wait(bool may_spin);

  private:
    [[nodiscard]] bool spin();

    const int device_;
    bool is_burst_ = false;
    int misses_ = 0;  ///< times in a row that looking was in vain
};

}  // namespace squenv::fuse
