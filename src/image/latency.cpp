// SPDX-License-Identifier: MIT
#include "image/latency.h"

#include <algorithm>

namespace squenv::image {

namespace {

/// Local disks wait for less, and a read across a network with a busy server for more. A whole
/// neighbourhood takes as long as a request of this time and a few hundred KiB.
constexpr std::int64_t kSlowNs = 1'000'000;
/// 500 MB/s: what is left is the wait, not the transfer.
constexpr std::int64_t kNsPerByte = 2;

}  // namespace

void Latency::note(std::chrono::nanoseconds time, std::size_t bytes) {
    const std::int64_t transfer = static_cast<std::int64_t>(bytes) * kNsPerByte;
    const std::int64_t wait = std::max<std::int64_t>(0, time.count() - transfer);
    const std::lock_guard lock(mutex_);
    waits_[count_++ % kRemembered] = wait;
    is_slow_.store(median() >= kSlowNs, std::memory_order_relaxed);
}

std::chrono::nanoseconds Latency::typical() const {
    const std::lock_guard lock(mutex_);
    return std::chrono::nanoseconds(median());
}

std::int64_t Latency::median() const {
    auto waits = waits_;
    const auto end = waits.begin() + static_cast<std::ptrdiff_t>(std::min(count_, kRemembered));
    if (end == waits.begin()) return 0;
    // The lower one of two: storage is quick until it has shown otherwise.
    const auto middle = waits.begin() + (end - waits.begin() - 1) / 2;
    std::nth_element(waits.begin(), middle, end);
    return *middle;
}

}  // namespace squenv::image
