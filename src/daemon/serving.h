// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "base/result.h"
#include "daemon/event_loop.h"

namespace squenv::daemon {

/// The part of a daemon that answers the kernel, in this process or in others. Used by the main
/// thread only.
class Serving {
  public:
    virtual ~Serving() = default;

    /// Begins. Errors: environment, limit.
    [[nodiscard]] virtual Status start() = 0;
    /// What the daemon waits for meanwhile.
    virtual void add_sources(std::vector<EventSource>& sources) = 0;
    /// Before each wait, which there is none of when is_over() then. In a new daemon it returns as
    /// it did in the one before. `is_unmounting`: no process but the daemon may keep what the mount
    /// lives in.
    virtual void tend(bool /*is_unmounting*/) {}
    /// The mount answers.
    [[nodiscard]] virtual bool is_ready() const = 0;
    /// The connection has ended; nothing is left to be answered.
    [[nodiscard]] virtual bool is_over() const = 0;
    /// Seconds since the last request.
    [[nodiscard]] virtual double idle_seconds() const = 0;
    /// The tree walker uses the mount: it is gone on return.
    virtual void end_walk() = 0;
    /// The daemon was stopped and goes on: so do its other processes.
    virtual void resume() {}
    /// After is_over(): all threads and processes are gone, and the recording is written. Errors:
    /// what made an end of the mount that is no unmount.
    [[nodiscard]] virtual Status finish() = 0;
    /// Ends all other processes at once; nothing is answered any more.
    virtual void kill() = 0;
};

}  // namespace squenv::daemon
