// SPDX-License-Identifier: MIT
// What main threads are told: signals, and events of the threads of a session.
#pragma once

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

/// The signals of a daemon. Used by its main thread; a process that is forked receives its own.
class Signals {
  public:
    /// Takes SIGINT, SIGTERM, SIGHUP and SIGCONT over from here on. Before any thread exists.
    /// Errors: limit (no descriptor).
    [[nodiscard]] static Result<Signals> create();
    /// Readable when take() has something.
    [[nodiscard]] int fd() const { return signals_.get(); }
    /// The number of the signal; empty when it cannot be read.
    [[nodiscard]] std::optional<int> take();

  private:
    explicit Signals(UniqueFd signals) : signals_(std::move(signals)) {}
    UniqueFd signals_;
};

enum class Event : char {
    ready = 'r',             ///< INIT was answered
    unmounted = 'u',         ///< the kernel closed the connection
    walk_after_pause = 'p',  ///< what the recorded list promises is stored
    walk_now = 'n',          ///< users only list directories
};

/// post() is thread-safe, the rest is for the main thread.
class Inbox {
  public:
    /// Errors: limit (no descriptor).
    [[nodiscard]] static Result<Inbox> create();
    void post(Event event) const;
    /// Readable when take() has something.
    [[nodiscard]] int fd() const { return reader_.get(); }
    /// Waits for one. A pipe that cannot be read counts as the end of the mount.
    [[nodiscard]] Event take();

  private:
    Inbox(UniqueFd reader, UniqueFd writer)
        : reader_(std::move(reader)), writer_(std::move(writer)) {}

    UniqueFd reader_;
    UniqueFd writer_;
};

}  // namespace squenv::daemon
