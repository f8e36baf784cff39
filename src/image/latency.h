// SPDX-License-Identifier: MIT
// How fast the storage of an image answers, by the time of its last reads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace squenv::image {

/// Thread-safe.
class Latency {
  public:
    /// A read of `bytes` took `time`.
    void note(std::chrono::nanoseconds time, std::size_t bytes);
    /// Whether most of the last reads waited for the storage. The first read alone decides until
    /// there is a second.
    [[nodiscard]] bool is_slow() const { return is_slow_.load(std::memory_order_relaxed); }
    /// The median wait of the last reads, without the time for their bytes; 0 before the first.
    [[nodiscard]] std::chrono::nanoseconds typical() const;

  private:
    /// One read that the scheduler or a disk delays does not decide, and a change of the storage is
    /// noticed soon.
    static constexpr std::size_t kRemembered = 8;

    [[nodiscard]] std::int64_t median() const;

    mutable std::mutex mutex_;  ///< protects the two below
    std::array<std::int64_t, kRemembered> waits_{};
    std::size_t count_ = 0;
    std::atomic<bool> is_slow_{false};
};

}  // namespace squenv::image
