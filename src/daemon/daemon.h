// SPDX-License-Identifier: MIT
// The process that decides how long a mount lives, from the open connection to its end.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "daemon/inbox.h"
#include "daemon/lifetime.h"
#include "daemon/opened.h"
#include "daemon/request.h"
#include "daemon/request_files.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/serving.h"

namespace squenv::daemon {

/// Before threads exist, in a process that serves: less memory is kept for blocks that were freed.
void limit_allocator();

/// One mount being served. Its parts are members in the order of their construction. Used by the
/// main thread of its process only.
class Daemon final : private ServedMount {
  public:
    /// Everything up to the serving, which has not begun. `files` have begun. `request` outlives
    /// the daemon. Must be called before the process has threads. Errors: environment, limit.
    [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(const Request& request,
                                                                RequestFiles files, Opened opened,
                                                                Service service);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Serves until the mount is gone. Errors: those of Serving::start() and Serving::finish().
    [[nodiscard]] Status run();

  private:
    Daemon(const Request& request, RequestFiles files, Opened opened, Service service,
           ServerMemory memory, Signals signals);
    [[nodiscard]] Status create_serving();
    void loop();
    /// One wait, and what it brings. Errors: those of wait_for_events().
    [[nodiscard]] Status turn();
    void on_signal();
    void attend_members();
    /// Members are admitted between the answer to INIT and the end of the mount. Those that come
    /// later wait for the listener to close, and begin anew.
    [[nodiscard]] bool has_door() const;
    void replace_supervisor();
    /// Waits for the answer of the supervisor. The kernel is answered meanwhile.
    [[nodiscard]] Status await_supervisor(const Status& asked);

    Status unmount(mount::UnmountMode mode) override {
        return await_supervisor(service_.supervisor.ask_to_unmount(mode));
    }
    Status leave() override { return await_supervisor(service_.supervisor.ask_to_leave()); }
    [[nodiscard]] bool has_members() const override;
    [[nodiscard]] double idle_seconds() const override { return serving_->idle_seconds(); }
    void end_walk() override { serving_->end_walk(); }
    void end_process() override;

    const Request& request_;
    Opened opened_;
    RequestFiles files_;
    Service service_;
    ServerMemory memory_;
    Signals signals_;
    std::unique_ptr<Serving> serving_{};
    bool is_failover_ = false;
    bool has_supervisor_ = true;
    std::unique_ptr<LifetimeStrategy> lifetime_;
};

/// Serves until the mount is gone. `files` have begun.
/// Must be called before the process has threads. Errors: environment, limit.
[[nodiscard]] Status run_daemon(const Request& request, RequestFiles files, Opened opened,
                                Service service);

/// The same in a background process that holds none of `inherited_fds`; returns when the file
/// system answers. The caller's copy of the connection is closed; its `files` stay for the next
/// method. `on_ready` is called in the daemon.
[[nodiscard]] Status start_daemon(const Request& request, RequestFiles& files, Opened opened,
                                  Service service, const std::vector<int>& inherited_fds);

}  // namespace squenv::daemon
