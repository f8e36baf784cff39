// SPDX-License-Identifier: MIT
// The process that serves a mount, from the open connection to its end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "daemon/inbox.h"
#include "daemon/lifetime.h"
#include "daemon/opened.h"
#include "daemon/request.h"
#include "daemon/request_files.h"
#include "daemon/supervisor.h"
#include "daemon/warmup.h"
#include "fuse/recorder.h"
#include "fuse/session.h"
#include "share/members.h"
#include "system/namespaces.h"

namespace squenv::daemon {

/// Who the daemon serves beside the kernel.
struct Service {
    Supervisor supervisor;  ///< of this mount, which is there already
    Lifetime lifetime = Lifetime::until_unmounted;
    std::optional<share::Members> members{};
    /// What the mount lives in, when it is not ours; let go of as soon as everything runs.
    system::Namespaces namespaces{};
    std::function<void()> on_ready{};  ///< called once INIT was answered, on a worker
};

/// One mount being served. Its parts are members in the order of their construction. Used by the
/// main thread of its process only.
class Daemon final : private ServedMount {
  public:
    /// Everything up to the session, which answers nothing yet. `files` have begun. `request`
    /// outlives the daemon. Must be called before the process has threads. Errors: environment,
    /// limit.
    [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(const Request& request,
                                                                RequestFiles files, Opened opened,
                                                                Service service);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Serves until the mount is gone. Errors: those of Session::start().
    [[nodiscard]] Status run();

  private:
    Daemon(const Request& request, RequestFiles files, Opened opened, Service service, Inbox inbox);
    [[nodiscard]] Status create_session();
    [[nodiscard]] Status start_session();
    void loop();
    /// One wait, and what it brings. Errors: those of wait_for_events().
    [[nodiscard]] Status turn();
    void on_signal();
    void on_event();
    void on_ready();
    void attend_members();
    /// Members are admitted between the answer to INIT and the end of the mount. Those that come
    /// later wait for the listener to close, and begin anew.
    [[nodiscard]] bool has_door() const;
    void write_recording();

    Status unmount(mount::UnmountMode mode) override { return service_.supervisor.unmount(mode); }
    Status leave() override { return service_.supervisor.leave(); }
    [[nodiscard]] bool has_members() const override;
    [[nodiscard]] double idle_seconds() const override { return session_->idle_seconds(); }
    void end_walk() override { warmup_->end(*session_); }
    void end_process() override;

    const Request& request_;
    Opened opened_;
    RequestFiles files_;
    Service service_;
    Inbox inbox_;
    std::optional<Warmup> warmup_{};
    fuse::Recorder recorder_{};
    std::unique_ptr<fuse::Session> session_{};
    std::unique_ptr<LifetimeStrategy> lifetime_;
    bool is_ready_ = false;  ///< INIT was answered
    bool is_over_ = false;   ///< the kernel closed the connection
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
