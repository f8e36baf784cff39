// SPDX-License-Identifier: MIT
#include "fuse/reader_turn.h"

#include <poll.h>

namespace squenv::fuse {

namespace {
/// How long parallel demand is remembered, in slow spells.
constexpr int kRememberedSpells = 8;
}  // namespace

void ReaderTurn::take() {
    std::unique_lock lock(mutex_);
    passed_.wait(lock, [this] { return !is_taken_; });
    is_taken_ = true;
}

void ReaderTurn::pass() {
    {
        std::lock_guard lock(mutex_);
        is_taken_ = false;
    }
    passed_.notify_one();
}

bool ReaderTurn::is_request_waiting() const {
    pollfd device{device_, POLLIN, 0};
    return ::poll(&device, 1, 0) > 0 && (device.revents & POLLIN) != 0;
}

bool ReaderTurn::should_pass() {
    if (is_request_waiting()) {
        parallel_spells_.store(kRememberedSpells, std::memory_order_relaxed);
        return true;
    }
    int left = parallel_spells_.load(std::memory_order_relaxed);
    while (left > 0 && !parallel_spells_.compare_exchange_weak(left, left - 1)) {
    }
    return left > 0;
}

void ReaderTurn::note_end_of_slow_work() {
    if (is_request_waiting())
        parallel_spells_.store(kRememberedSpells, std::memory_order_relaxed);
}

}  // namespace squenv::fuse
