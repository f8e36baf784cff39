// SPDX-License-Identifier: MIT
// Going into the background, with the parent waiting until the daemon is of use.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// After start() there are two processes: the parent, and the daemon in a session of its own.
class Background {
  public:
    /// Before any thread exists. Errors: limit (no process).
    [[nodiscard]] static Result<Background> start();
    [[nodiscard]] bool is_daemon() const { return is_daemon_; }

    /// Parent: waits for the daemon's word. Errors: what the daemon reported, or that it died.
    [[nodiscard]] Status wait_until_ready();
    /// Daemon: lets the parent return and lets go of the terminal.
    void report_ready();
    void report_failure(const Error& error);

  private:
    Background(bool is_daemon, UniqueFd pipe, UniqueFd null)
        : is_daemon_(is_daemon), pipe_(std::move(pipe)), null_(std::move(null)) {}
    bool is_daemon_;
    UniqueFd pipe_;
    UniqueFd null_;  ///< /dev/null, opened while the sandbox still lets us
};

}  // namespace squenv::system
