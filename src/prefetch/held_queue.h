// SPDX-License-Identifier: MIT
// The requests that are answered later than they could be, as a pure list: time is a parameter.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "prefetch/file_range.h"

namespace squenv::prefetch {

/// Every reason for which a request is held. A held request may keep locks in the kernel: a READ
/// has its pages locked, a READDIRPLUS its directory. So each reason has a limit, and a thread that
/// waits for nothing else (HeldRequests) answers at the limit, whatever the event that usually
/// comes first does.
enum class HoldReason : std::uint8_t {
    /// A user lists a directory that the tree walker is about to list. An answer at once makes
    /// both slow, because they alternate on the lock of the directory. Usually answered at the
    /// limit.
    listing_beside_walker,
    /// A program reads at the front of the recorded plan. It would pay a round trip for each piece
    /// while a processor is idle. Usually answered when 4 MiB more are stored.
    read_at_recorded_front,
    /// The same for the sequential plan.
    read_at_stream_front,
    /// The tree walker lists a directory while a program reads a stream: the program goes first.
    /// Usually answered when the stream pauses.
    walker_beside_stream,
};
inline constexpr std::size_t kHoldReasons = 4;

/// Bytes of content that a held READ waits for; 1, 4 and 16 MiB measured the same.
inline constexpr std::uint64_t kHoldAhead = 4 << 20;

/// The limit of each reason.
constexpr std::chrono::milliseconds hold_limit(HoldReason reason) {
    using std::chrono::milliseconds;
    switch (reason) {
        // A cold find over 2,455 directories takes 53 ms with it and 124 ms without (kernel: 57).
        case HoldReason::listing_beside_walker: return milliseconds(4);
        // Measured on two processors: longer gains nothing, shorter costs round trips.
        case HoldReason::read_at_recorded_front:
        case HoldReason::read_at_stream_front: return milliseconds(8);
        // A process that is being ended waits for the answer to its request.
        case HoldReason::walker_beside_stream: return milliseconds(250);
    }
    return milliseconds(0);
}

/// Not thread-safe: its owner locks.
class HeldQueue {
  public:
    using Clock = std::chrono::steady_clock;
    /// Called once, without locks. `is_late`: the limit came before the event.
    using Answer = std::function<void(bool is_late)>;

    /// Holds `answer` until `limit` after `now`, but not beyond the limit of the reason. `range`
    /// is what a READ is about, empty for listings.
    void add(HoldReason reason, const FileRange& range, Clock::time_point now,
             std::chrono::milliseconds limit, Answer answer);
    /// Moves the time of all requests of `reason` to `due`, within the limit of the reason.
    void postpone(HoldReason reason, Clock::time_point due);

    [[nodiscard]] std::size_t count(HoldReason reason) const {
        return counts_[static_cast<std::size_t>(reason)];
    }
    [[nodiscard]] bool empty() const { return held_.empty(); }
    /// When the first request is due; nothing when none is held.
    [[nodiscard]] std::optional<Clock::time_point> next_due() const;
    /// Takes out one request that is due at `now`, the one that is due first.
    [[nodiscard]] std::optional<Answer> take_due(Clock::time_point now);
    /// Takes out the requests of `reason` for whose range `is_wanted` holds.
    [[nodiscard]] std::vector<Answer> take(HoldReason reason,
                                           const std::function<bool(const FileRange&)>& is_wanted);

  private:
    struct Held {
        HoldReason reason{};
        FileRange range{};
        Clock::time_point due{};
        Clock::time_point latest{};
        Answer answer{};
    };
    void remove(std::vector<Held>::iterator request);

    std::vector<Held> held_;  ///< in the order of arrival; a handful
    std::array<std::size_t, kHoldReasons> counts_{};
};

}  // namespace squenv::prefetch
