// SPDX-License-Identifier: MIT
// A daemon in the background. The parent waits until the daemon is ready.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// After start() there are two processes: the parent, and the daemon in its own session.
class Background {
  public:
    /// Before any thread exists. Errors: limit (no process).
    [[nodiscard]] static Result<Background> start();
    [[nodiscard]] bool is_daemon() const { return is_daemon_; }

    /// Parent: waits for the daemon's message. Errors: what the daemon reported, or that it died;
    /// limit, when processes were killed for want of memory meanwhile.
    [[nodiscard]] Status wait_until_ready();
    /// Daemon: lets the parent return and closes the terminal.
    void report_ready();
    /// In a process that the daemon forked: the two halves of report_ready() that concern it.
    void leave_report_to_daemon() { pipe_.reset(); }
    void close_terminal();
    void report_failure(const Error& error);

  private:
    Background(bool is_daemon, UniqueFd pipe, UniqueFd null)
        : is_daemon_(is_daemon), pipe_(std::move(pipe)), null_(std::move(null)) {}
    /// With the memory as the reason, where that is known.
    [[nodiscard]] Error explained(Error error) const;
    bool is_daemon_;
    std::uint64_t kills_before_ = 0;  ///< parent: memory_kills() before the daemon began
    UniqueFd pipe_;
    UniqueFd null_;  ///< /dev/null, opened while the sandbox still permits it
};

}  // namespace squenv::system
