// SPDX-License-Identifier: MIT
// How a program asks the daemon of a mount to let its own server take over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/event_loop.h"

namespace squenv::daemon {

/// An upgrade that was made.
struct Upgrade {
    std::string from;  ///< the version of the server before
    std::string to;
    std::int64_t server = 0;   ///< the process that answers from now on
    double pause_seconds = 0;  ///< from the end of the one until the other answers
};

/// Asks the daemon of FUSE connection `device_minor` to serve by the file `program`, and waits
/// until it does. Errors: not_found (no daemon listens), denied (that of another user), busy (no
/// answer in time, another upgrade, or an unmount), and what the daemon reports: then the old
/// server goes on.
[[nodiscard]] Result<Upgrade> ask_upgrade(std::uint32_t device_minor, int program);

/// The daemon's side: a socket of the user, by the number of the connection. A process that may ask
/// could run the program itself, as the same user. Used by the main thread only.
class UpgradeDoor {
  public:
    /// A process that asks.
    struct Visit {
        UniqueFd connection{};
        UniqueFd program{};
    };
    /// Errors: busy (another process has the name), limit.
    [[nodiscard]] static Result<UpgradeDoor> open(std::uint32_t device_minor);

    /// `on_visit` is called with each question.
    void add_sources(std::vector<EventSource>& sources, const std::function<void(Visit)>& on_visit);
    /// In another process, and at the end: no answer comes from here.
    void forget_visits() { waiting_.clear(); }

    static void answer(const Visit& visit, const Upgrade& upgrade);
    static void refuse(const Visit& visit, const Error& error);

  private:
    explicit UpgradeDoor(UniqueFd listener) : listener_(std::move(listener)) {}
    void accept();
    void receive(int connection, const std::function<void(Visit)>& on_visit);

    UniqueFd listener_;
    std::vector<UniqueFd> waiting_{};  ///< connections without a question yet
};

}  // namespace squenv::daemon
