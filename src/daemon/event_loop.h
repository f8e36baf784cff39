// SPDX-License-Identifier: MIT
// Waiting for descriptors, each with its handler.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

/// A descriptor, and what is done when it is readable or closed by the other side.
struct EventSource {
    int descriptor = -1;  ///< -1 is not watched
    std::function<void()> handle{};
};

/// How long to wait; empty: for ever.
using Timeout = std::optional<std::chrono::milliseconds>;

/// A descriptor that is readable from `delay` on; empty when the system gives none.
[[nodiscard]] UniqueFd make_timer(std::chrono::milliseconds delay);

/// Waits once, in poll(2), and calls the handlers of what is readable, in the order of `sources`.
/// Returns whether the time passed without any; a signal that interrupts the wait is neither.
/// Errors: of poll(2).
[[nodiscard]] Result<bool> wait_for_events(std::span<const EventSource> sources, Timeout timeout);

}  // namespace squenv::daemon
