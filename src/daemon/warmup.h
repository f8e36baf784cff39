// SPDX-License-Identifier: MIT
// What is done ahead of the users of a mount: the recorded list and the tree walker. All that
// the daemon tells the session of it, and the session tells the daemon, is in here.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "appendix/appendix.h"
#include "base/result.h"
#include "daemon/inbox.h"
#include "daemon/opened.h"
#include "daemon/tree_walker.h"
#include "fuse/session.h"
#include "system/namespaces.h"

namespace squenv::daemon {

/// Used by the daemon's main thread only.
class Warmup {
  public:
    /// What a server does of it: one that takes over from another has users at work already, and
    /// only reads ahead of them.
    enum class Share { everything, reading };
    /// Decides what `request` permits, loads the list and forks the walker. Before any thread
    /// exists. `namespaces` are those of the mount, if it has its own. Errors: those of
    /// TreeWalker::start().
    [[nodiscard]] static Result<Warmup> start(const Request& request, const Opened& opened,
                                              const system::Namespaces& namespaces, Share share);

    /// Once: the list moves to `options`. The session posts to `inbox`, which outlives it.
    void describe(fuse::SessionOptions& options, const Inbox& inbox);
    /// Before the mount answers: the walker must not see what covers it then.
    void await_walker() {
        if (walker_) walker_->await_root();
    }

    /// The mount answers: the walker begins.
    void on_ready();
    /// What the list promises is stored: the walker goes on as soon as it has paused.
    void walk_after_pause(fuse::Session& session);
    /// Users only list directories: the walker's place is ahead of them.
    void walk_now(fuse::Session& session);
    /// walker_fd() is readable: the walker has paused or ended.
    void on_walker(fuse::Session& session);
    void end(fuse::Session& session);
    /// -1 without a walker.
    [[nodiscard]] int walker_fd() const { return walker_ ? walker_->ended_fd() : -1; }

  private:
    Warmup() = default;
    [[nodiscard]] Status start_walker(const Request& request, const Opened& opened,
                                      const system::Namespaces& namespaces);
    void resume(fuse::Session& session);
    void log_phase(const char* phase, const fuse::Session& session) const;

    bool has_prefetch_ = false;
    bool stores_pages_ = false;
    std::vector<appendix::HotItem> list_{};
    int processor_ = -1;  ///< of the walker; -1: there is none
    std::optional<TreeWalker> walker_{};
    std::chrono::steady_clock::time_point walk_started_{};
    bool is_called_ = false;  ///< the session wants the walker after its pause
    bool is_paused_ = false;
};

}  // namespace squenv::daemon
