// SPDX-License-Identifier: MIT
#include "fuse/request_wait.h"

#include <poll.h>

#include <chrono>

namespace squenv::fuse {

namespace {

using Clock = std::chrono::steady_clock;

/// As long as waking up takes twice: looking longer costs more than it can save.
constexpr std::chrono::microseconds kSpin{60};
/// Requests that follow each other within this are a burst.
constexpr std::chrono::microseconds kBurstGap{200};
constexpr int kMaxMisses = 4;

bool is_readable(int device, int timeout_ms) {
    pollfd waiting{device, POLLIN, 0};
    return ::poll(&waiting, 1, timeout_ms) > 0;
}

}  // namespace

bool RequestWait::spin() {
    const auto end = Clock::now() + kSpin;
    do {
        if (is_readable(device_, 0)) {
            misses_ = 0;
            return true;
        }
    } while (Clock::now() < end);
    if (++misses_ >= kMaxMisses) is_burst_ = false;
    return false;
}

void RequestWait::wait(bool may_spin) {
    if (may_spin && is_burst_ && spin()) return;
    const auto start = Clock::now();
    (void)is_readable(device_, -1);
    if (is_burst_ || Clock::now() - start > kBurstGap) return;
    is_burst_ = true;
    misses_ = 0;
}

}  // namespace squenv::fuse
