// SPDX-License-Identifier: MIT
#include "daemon/daemon.h"

#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/descriptor_limit.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/event_loop.h"
#include "daemon/failover.h"
#include "system/background.h"
#include "system/named_socket.h"
#include "system/starter.h"

namespace squenv::daemon {

/// Threads of the same size class must not each keep their own arena.
void limit_allocator() {
    ::mallopt(M_ARENA_MAX, 2);
    ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

Daemon::Daemon(const Request& request, RequestFiles files, Opened opened, Service service,
               ServerMemory memory, Signals signals)
    : request_(request),
      opened_(std::move(opened)),
      files_(std::move(files)),
      service_(std::move(service)),
      memory_(std::move(memory)),
      signals_(std::move(signals)),
      lifetime_(make_lifetime(service_.lifetime, *this, request.idle_timeout)) {
}

Result<std::unique_ptr<Daemon>> Daemon::create(const Request& request, RequestFiles files,
                                               Opened opened, Service service) {
    if (service.members && service.members->listener() >= 0)
        system::announce_listener(service.members->listener());
    SQUENV_TRY_ASSIGN(auto signals, Signals::create());
    SQUENV_TRY_ASSIGN(auto memory, ServerMemory::create(request));
    std::unique_ptr<Daemon> daemon(new Daemon(request, std::move(files), std::move(opened),
                                              std::move(service), std::move(memory),
                                              std::move(signals)));
    Service& ours = daemon->service_;
    if (ours.members && !ours.namespaces)
        ours.members->set_device_minor(daemon->opened_.device_minor);
    SQUENV_TRY(daemon->create_serving());
    return daemon;
}

Status Daemon::create_serving() {
    is_failover_ = request_.has_failover && !request_.trace;
    if (is_failover_) {
        serving_ = std::make_unique<Failover>(request_, files_, opened_, service_, memory_);
        return {};
    }
    memory_.session->daemon = ::getpid();
    service_.supervisor.watch_this_thread();
    SQUENV_TRY_ASSIGN(serving_,
                      Server::create(request_, files_, opened_, memory_, service_.namespaces,
                                     {0, false, false, service_.on_ready}));
    service_.namespaces = {};
    return {};
}

Status Daemon::run() {
    SQUENV_TRY(serving_->start());
    loop();
    const auto status = serving_->finish();
    // The mount is there, and no process serves it.
    if (!status) (void)unmount(mount::UnmountMode::lazy);
    service_.supervisor.dismiss();
    return status;
}

void Daemon::loop() {
    Status status;
    while (status && !serving_->is_over()) status = turn();
    if (!status) log::error("cannot wait for events: {}", status.error().message());
}

Status Daemon::turn() {
    const bool was_unmounting = lifetime_->is_unmounting();
    serving_->tend(was_unmounting);
    if (serving_->is_over()) return {};
    if (was_unmounting && service_.members) service_.members->close();
    std::vector<EventSource> sources{{signals_.fd(), [this] { on_signal(); }}};
    serving_->add_sources(sources);
    // It says nothing without being asked. A daemon in a sandbox could not replace it.
    if (is_failover_ && has_supervisor_)
        sources.push_back({service_.supervisor.answer_fd(), [this] { replace_supervisor(); }});
    // After every wait, below.
    sources.push_back({has_door() ? service_.members->ready_fd() : -1, [] {}});
    const Timeout timeout = was_unmounting ? Timeout() : lifetime_->next_timeout();
    SQUENV_TRY_ASSIGN(const bool is_time, wait_for_events(sources, timeout));
    if (has_door()) attend_members();
    if (is_time && !lifetime_->is_unmounting()) lifetime_->on_timeout();
    return {};
}

void Daemon::on_signal() {
    const auto signal = signals_.take();
    if (!signal) return;
    if (*signal == SIGCONT)
        serving_->resume();
    else
        lifetime_->on_signal(*signal);
}

/// Also when none of them has stirred: one may have come while the time passed.
void Daemon::attend_members() {
    service_.members->serve();
    if (has_members())
        lifetime_->on_members();
    else
        lifetime_->on_members_gone();
}

bool Daemon::has_door() const {
    return service_.members && serving_->is_ready() && !lifetime_->is_unmounting() &&
           !serving_->is_over();
}

bool Daemon::has_members() const {
    return service_.members && !service_.members->is_empty();
}

/// The mount would stay, dead, when all other processes are killed.
void Daemon::replace_supervisor() {
    const std::string mountpoint = opened_.is_in_namespace ? "" : opened_.mountpoint;
    auto another = Supervisor::start({mountpoint, opened_.device_minor, opened_.hold.created, -1});
    if (!another) {
        log::warning("the supervisor has ended, and there is no other: {}",
                     another.error().message());
        has_supervisor_ = false;
        return;
    }
    log::warning("the supervisor has ended; another one goes on");
    service_.supervisor = std::move(*another);
}

Status Daemon::await_supervisor(const Status& asked) {
    SQUENV_TRY(asked);
    bool is_answered = false;
    while (!is_answered) {
        std::vector<EventSource> sources{
            {service_.supervisor.answer_fd(), [&is_answered] { is_answered = true; }}};
        serving_->add_sources(sources);
        SQUENV_TRY(wait_for_events(sources, {}));
    }
    return service_.supervisor.answer();
}

void Daemon::end_process() {
    serving_->kill();
    log::warning("ended by a second signal; open files of the mount are lost");
    log::stop();
    std::_Exit(1);
}

Status run_daemon(const Request& request, RequestFiles files, Opened opened, Service service) {
    limit_allocator();
    const RaisedDescriptorLimit many_users;
    SQUENV_TRY_ASSIGN(const auto daemon, Daemon::create(request, std::move(files),
                                                        std::move(opened), std::move(service)));
    return daemon->run();
}

Status start_daemon(const Request& request, RequestFiles& files, Opened opened, Service service,
                    const std::vector<int>& inherited_fds) {
    SQUENV_TRY_ASSIGN(auto background, system::Background::start());
    if (!background.is_daemon()) {
        // The parent's copy of the connection must go, or a daemon that dies goes unnoticed.
        opened.device.reset();
        return background.wait_until_ready();
    }
    system::forget_starter(service.lifetime == Lifetime::until_unmounted
                               ? system::Processors::as_given
                               : system::Processors::all);
    // What the caller was given, such as a pipe or a lock, is none of the daemon's.
    for (const int fd : inherited_fds) ::close(fd);
    files.log.use();
    service.on_ready = [&background, inner = std::move(service.on_ready)] {
        if (inner) inner();
        background.report_ready();
    };
    service.on_server_start = [&background] { background.leave_report_to_daemon(); };
    service.on_server_ready = [&background] { background.close_terminal(); };
    // What is thrown must not reach the code of the program that started this process.
    const auto status = with_memory_errors("the daemon", [&] {
        return run_daemon(request, std::move(files), std::move(opened), std::move(service));
    });
    if (!status) background.report_failure(status.error());
    log::stop();
    std::_Exit(status ? 0 : 1);
}

}  // namespace squenv::daemon
