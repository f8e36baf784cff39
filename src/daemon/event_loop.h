// SPDX-License-Identifier: MIT
// The daemon's main thread: signals, the idle timeout and the end of the mount.
#pragma once

#include <chrono>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/lifetime.h"
#include "daemon/supervisor.h"
#include "daemon/tree_walker.h"
#include "fuse/session.h"
#include "share/members.h"

namespace squenv::daemon {

enum class Event : char { ready = 'r', unmounted = 'u', quiet = 'q', listers = 'l' };

/// What the loop takes care of; it owns nothing of it.
struct Served {
    fuse::Session& session;
    Supervisor& supervisor;
    std::optional<TreeWalker>& walker;
    Lifetime lifetime;
    share::Members* members;  ///< or nullptr
    bool is_in_userns;        ///< in a namespace of its own, with which it goes
    std::chrono::seconds idle_timeout;
};

/// Waits; never polls. post() may be called from any thread, the rest from the main one.
class EventLoop {
  public:
    /// Takes SIGINT, SIGTERM and SIGHUP over from here on. Before any thread exists.
    [[nodiscard]] static Result<EventLoop> create();
    void post(Event event) const;

    /// Returns when the mount is gone. The first signal unmounts, lazily when the mount is busy:
    /// it is then served until its last user is done. The second ends the daemon at once. A mount
    /// that lives as long as it is used is left alone by signals: a batch system sends them to
    /// every process of a job, and the mount's users may want to end in order.
    void run(Served& served);

  private:
    EventLoop(UniqueFd signals, UniqueFd reader, UniqueFd writer)
        : signals_(std::move(signals)), reader_(std::move(reader)), writer_(std::move(writer)) {}

    void on_event(Served& served);
    void on_signal(Served& served);
    void on_walker(Served& served);
    void resume_walker(Served& served);
    void end_walk(Served& served);
    void leave(Served& served);
    [[nodiscard]] int wait_ms(const Served& served) const;
    [[nodiscard]] bool has_door(const Served& served) const;

    UniqueFd signals_;
    UniqueFd reader_;
    UniqueFd writer_;
    std::chrono::steady_clock::time_point walk_started_{};
    std::chrono::milliseconds retry_{0};  ///< until the next attempt to unmount; 0: none was made
    bool has_signal_ = false;
    bool is_quiet_ = false;  ///< nobody waits for what the hot list promises
    bool is_walker_paused_ = false;
    bool is_ready_ = false;  ///< INIT was answered
    bool is_unmounting_ = false;
    bool is_over_ = false;  ///< the kernel closed the connection
};

}  // namespace squenv::daemon
