// SPDX-License-Identifier: MIT
// Where other processes ask the daemon of a mount, which they know by the number of its connection.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/event_loop.h"

namespace squenv::daemon {

/// The first byte of a question for an upgrade, which has the descriptor of a program. The question
/// for statistics is mount::kAskStatistics.
inline constexpr char kAskUpgrade = 'u';

/// A socket of the user. A process that may ask could run any program itself, as the same user.
/// Used by the main thread only.
class Door {
  public:
    /// A process that asks.
    struct Visit {
        UniqueFd connection{};
        UniqueFd program{};  ///< to be upgraded to; none asks for statistics
    };
    /// Errors: busy (another process has the name), limit.
    [[nodiscard]] static Result<Door> open(std::uint32_t device_minor);

    /// `on_visit` is called with each question.
    void add_sources(std::vector<EventSource>& sources, const std::function<void(Visit)>& on_visit);
    /// In another process, and at the end: no answer comes from here.
    void forget_visits() { waiting_.clear(); }

  private:
    explicit Door(UniqueFd listener) : listener_(std::move(listener)) {}
    void accept();
    void receive(int connection, const std::function<void(Visit)>& on_visit);

    UniqueFd listener_;
    std::vector<UniqueFd> waiting_{};  ///< connections without a question yet
};

}  // namespace squenv::daemon
