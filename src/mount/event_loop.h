// SPDX-License-Identifier: MIT
// The daemon's main thread: signals, the idle timeout and the end of the mount.
#pragma once

#include <chrono>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fuse/session.h"
#include "mount/keeper.h"
#include "mount/warmer.h"

namespace squenv::mount {

enum class Event : char { ready = 'r', unmounted = 'u', quiet = 'q', listers = 'l' };

/// Waits; never polls. post() may be called from any thread, the rest from the main one.
class EventLoop {
  public:
    /// Takes SIGINT, SIGTERM and SIGHUP over from here on. Before any thread exists.
    [[nodiscard]] static Result<EventLoop> create();
    void post(Event event) const;

    /// Returns when the mount is gone. The first signal unmounts, lazily when the mount is busy:
    /// it is then served until its last user is done. The second ends the daemon at once.
    void run(fuse::Session& session, Keeper& keeper, std::optional<Warmer>& warmer,
             std::chrono::seconds idle_timeout);

  private:
    EventLoop(UniqueFd signals, UniqueFd reader, UniqueFd writer)
        : signals_(std::move(signals)), reader_(std::move(reader)), writer_(std::move(writer)) {}

    void on_signal(Keeper& keeper);
    UniqueFd signals_;
    UniqueFd reader_;
    UniqueFd writer_;
    bool is_unmounting_ = false;
};

}  // namespace squenv::mount
