// SPDX-License-Identifier: MIT
// What the daemon's main thread is told: signals, and events of the other threads.
#pragma once

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

enum class Event : char {
    ready = 'r',             ///< INIT was answered
    unmounted = 'u',         ///< the kernel closed the connection
    walk_after_pause = 'p',  ///< what the recorded list promises is stored
    walk_now = 'n',          ///< users only list directories
};

/// post() is thread-safe, the rest is for the main thread.
class Inbox {
  public:
    /// Takes SIGINT, SIGTERM and SIGHUP over from here on. Before any thread exists.
    /// Errors: limit (no descriptor).
    [[nodiscard]] static Result<Inbox> create();
    void post(Event event) const;

    /// Readable when take_signal() and take_event() have something.
    [[nodiscard]] int signal_fd() const { return signals_.get(); }
    [[nodiscard]] int event_fd() const { return reader_.get(); }
    /// The number of the signal; empty when it cannot be read.
    [[nodiscard]] std::optional<int> take_signal();
    /// Waits for one. A pipe that cannot be read counts as the end of the mount.
    [[nodiscard]] Event take_event();

  private:
    Inbox(UniqueFd signals, UniqueFd reader, UniqueFd writer)
        : signals_(std::move(signals)), reader_(std::move(reader)), writer_(std::move(writer)) {}

    UniqueFd signals_;
    UniqueFd reader_;
    UniqueFd writer_;
};

}  // namespace squenv::daemon
