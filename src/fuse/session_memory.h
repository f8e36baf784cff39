// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "fuse/request_counters.h"
#include "fuse/request_journal.h"

namespace squenv::fuse {

/// What servers of two versions must agree on. It is raised with each change of SessionMemory, of
/// RecorderMemory, of what their bytes mean, and of the node numbers.
inline constexpr std::uint32_t kMemoryLayout = 1;

/// What a session leaves to its successor in another process. Lives in memory that is zero at first
/// and that they share (base/shared_object.h). Thread-safe.
struct SessionMemory {
    using Clock = std::chrono::steady_clock;

    std::atomic<std::uint32_t> layout;    ///< kMemoryLayout of the program that mounted; the first
    std::atomic<std::uint32_t> servers;   ///< the last number of one; each has another number
    std::array<char, 32> daemon_version;  ///< ends with a zero; written before there are servers
    RequestCounters counters;
    std::atomic<Clock::rep> started;       ///< when the first session began
    std::atomic<Clock::rep> last_request;  ///< when the last request was received
    std::atomic<std::uint32_t> restarts;   ///< sessions that took over from a dead server
    std::atomic<Clock::rep> death;         ///< when the last server was seen to have died
    std::atomic<Clock::rep> takeover;      ///< from then on, until what it had left was answered
    std::atomic<pid_t> daemon;             ///< the process that decides how long the mount lives
    std::atomic<bool> is_over;             ///< the kernel closed the connection
    RequestJournal journal;

    /// Seconds since the last request, on the monotonic clock.
    [[nodiscard]] double idle_seconds() const {
        const Clock::time_point last{Clock::duration(last_request.load())};
        return std::chrono::duration<double>(Clock::now() - last).count();
    }
};

}  // namespace squenv::fuse
