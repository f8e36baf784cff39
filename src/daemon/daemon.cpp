// SPDX-License-Identifier: MIT
#include "daemon/daemon.h"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/descriptor_limit.h"
#include "base/log.h"
#include "daemon/event_loop.h"
#include "daemon/sandbox.h"
#include "share/rendezvous.h"
#include "system/background.h"
#include "system/starter.h"

namespace squenv::daemon {

namespace {

/// Threads of the same size class must not each keep their own arena of freed block buffers.
void limit_allocator() {
    ::mallopt(M_ARENA_MAX, 2);
    ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

}  // namespace

Daemon::Daemon(const Request& request, RequestFiles files, Opened opened, Service service,
               Inbox inbox)
    : request_(request),
      opened_(std::move(opened)),
      files_(std::move(files)),
      service_(std::move(service)),
      inbox_(std::move(inbox)),
      lifetime_(make_lifetime(service_.lifetime, *this, request.idle_timeout)) {
}

Result<std::unique_ptr<Daemon>> Daemon::create(const Request& request, RequestFiles files,
                                               Opened opened, Service service) {
    service.supervisor.watch_this_thread();
    if (service.members && service.members->listener() >= 0)
        share::announce_listener(service.members->listener());
    SQUENV_TRY_ASSIGN(auto inbox, Inbox::create());
    std::unique_ptr<Daemon> daemon(new Daemon(request, std::move(files), std::move(opened),
                                              std::move(service), std::move(inbox)));
    Service& ours = daemon->service_;
    SQUENV_TRY_ASSIGN(daemon->warmup_, Warmup::start(request, daemon->opened_, ours.namespaces));
    if (ours.members && !ours.namespaces)
        ours.members->set_device_minor(daemon->opened_.device_minor);
    ours.namespaces = {};
    SQUENV_TRY(daemon->create_session());
    return daemon;
}

Status Daemon::create_session() {
    fuse::SessionOptions options;
    warmup_->describe(options, inbox_);
    options.recorder = files_.recording ? &recorder_ : nullptr;
    options.threads = request_.threads;
    options.trace = request_.trace;
    options.only_owner_and_root = request_.allow_root && !request_.allow_other;
    options.name = opened_.image_name;
    options.identity = opened_.identity;
    SQUENV_TRY_ASSIGN(session_, fuse::Session::create(*opened_.file_system, std::move(options),
                                                      std::move(opened_.device)));
    return {};
}

Status Daemon::run() {
    drop_privileges();
    SQUENV_TRY(start_session());
    loop();
    session_->join();
    write_recording();
    service_.supervisor.dismiss();
    return {};
}

Status Daemon::start_session() {
    if (files_.stage) files_.stage->start(*opened_.image);
    return session_->start(
        [this] {
            if (service_.on_ready) service_.on_ready();
            if (files_.stage) files_.stage->begin();
            inbox_.post(Event::ready);
        },
        [this] { inbox_.post(Event::unmounted); });
}

void Daemon::loop() {
    Status status;
    while (status && !is_over_) status = turn();
    if (!status) log::error("cannot wait for events: {}", status.error().message());
}

Status Daemon::turn() {
    const bool was_unmounting = lifetime_->is_unmounting();
    if (was_unmounting && service_.members) service_.members->close();
    const std::array<EventSource, 4> sources{{
        {inbox_.signal_fd(), [this] { on_signal(); }},
        {inbox_.event_fd(), [this] { on_event(); }},
        {warmup_->walker_fd(), [this] { warmup_->on_walker(*session_); }},
        {has_door() ? service_.members->ready_fd() : -1, [] {}},  // after every wait, below
    }};
    const Timeout timeout = was_unmounting ? Timeout() : lifetime_->next_timeout();
    SQUENV_TRY_ASSIGN(const bool is_time, wait_for_events(sources, timeout));
    if (has_door()) attend_members();
    if (is_time && !lifetime_->is_unmounting()) lifetime_->on_timeout();
    return {};
}

void Daemon::on_signal() {
    if (const auto signal = inbox_.take_signal()) lifetime_->on_signal(*signal);
}

void Daemon::on_event() {
    switch (inbox_.take_event()) {
        case Event::ready: on_ready(); break;
        case Event::walk_after_pause: warmup_->walk_after_pause(*session_); break;
        case Event::walk_now: warmup_->walk_now(*session_); break;
        case Event::unmounted:
            end_walk();
            is_over_ = true;
            break;
    }
}

void Daemon::on_ready() {
    warmup_->on_ready();
    restrict_system_calls();
    is_ready_ = true;
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
    return service_.members && is_ready_ && !lifetime_->is_unmounting() && !is_over_;
}

bool Daemon::has_members() const {
    return service_.members && !service_.members->is_empty();
}

void Daemon::end_process() {
    log::warning("ended by a second signal; open files of the mount are lost");
    log::stop();
    std::_Exit(1);
}

void Daemon::write_recording() {
    if (!files_.recording) return;
    const auto trace = recorder_.finish(*opened_.file_system, session_->counters());
    if (const auto written = files_.recording->write(trace); !written)
        log::error("the trace is lost: {}", written.error().message());
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
    const auto status =
        run_daemon(request, std::move(files), std::move(opened), std::move(service));
    if (!status) background.report_failure(status.error());
    log::stop();
    std::_Exit(status ? 0 : 1);
}

}  // namespace squenv::daemon
