// SPDX-License-Identifier: MIT
// The processes that a daemon forks: a server, and a standby that becomes a server or the daemon.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>

#include "base/log.h"
#include "base/remote_error.h"
#include "daemon/failover.h"
#include "daemon/server_main.h"
#include "system/named_socket.h"

namespace squenv::daemon {

namespace {

std::string process_name() {
    char name[16] = {};
    (void)::prctl(PR_GET_NAME, name);
    return name;
}

share::Member member_of(SocketMessage& message) {
    share::Member member;
    member.is_admitted = true;
    if (!message.descriptors.empty()) member.connection = std::move(message.descriptors[0]);
    if (message.descriptors.size() > 1) member.process = std::move(message.descriptors[1]);
    return member;
}

std::uint64_t key_of(const SocketMessage& message) {
    std::uint64_t key = 0;
    std::from_chars(message.bytes.data() + 1, message.bytes.data() + message.bytes.size(), key);
    return key;
}

}  // namespace

/// The connection stays in this process, too: it may become the daemon.
Result<std::unique_ptr<Server>> Failover::create_server(Server::Options options) {
    options.on_ready = service_.on_server_ready;
    UniqueFd device(::fcntl(opened_.device.get(), F_DUPFD_CLOEXEC, 3));
    if (!device) return fail_errno(errno, "the connection");
    auto server =
        Server::create(request_, files_, opened_, memory_, service_.namespaces, std::move(options));
    opened_.device = std::move(device);
    return server;
}

void Failover::serve(DaemonLine line, Result<std::unique_ptr<Server>> server) {
    set_process_name("squenv-server");
    leave_daemon();
    service_.namespaces = {};
    opened_.device.reset();
    const auto status = server ? (*server)->start() : Status(tl::unexpected(server.error()));
    if (!status) {
        line.send(Report::failed, encode_error(status.error()));
        end_process(1);
    }
    ServerMain(**server, line, ServerMain::WithoutDaemon::goes_on).run(*memory_.session);
}

void Failover::stand_by(DaemonLine line, std::uint32_t number) {
    const std::string name = process_name();
    born_ = Clock::now();
    set_process_name("squenv-standby");
    forget_watches();
    forget_upgrade();
    if (service_.members) service_.members->become_shadow();
    if (service_.on_server_ready) service_.on_server_ready();
    std::optional<Result<std::unique_ptr<Server>>> server;
    // What can be done before it is needed. Nothing is read of the image: it has all its rights.
    const auto prepare = [&] {
        standby_timer_.reset();
        if (!server) server.emplace(create_server({number, true, false, {}}));
    };
    if (!standby_timer_) prepare();
    bool has_daemon = true;
    const auto obey = [&] {
        auto message = line.receive();
        if (message.bytes.empty()) {
            has_daemon = false;
            return;
        }
        switch (static_cast<Order>(message.bytes[0])) {
            case Order::serve: prepare(); serve(std::move(line), std::move(*server));
            case Order::member:
                service_.members->mirror(key_of(message), member_of(message));
                break;
            default: break;
        }
    };
    while (has_daemon) {
        const EventSource sources[] = {
            {line.socket(), obey},
            {service_.members ? service_.members->ready_fd() : -1,
             [this] { service_.members->serve(); }},
            {standby_timer_ ? standby_timer_.get() : -1, prepare},
        };
        if (!wait_for_events(sources, {})) end_process(1);
    }
    line.end();
    set_process_name(name.c_str());
}

void Failover::become_daemon() {
    const pid_t before = memory_.session->daemon.exchange(::getpid());
    if (service_.members) {
        service_.members->become_owner();
        if (service_.members->listener() >= 0)
            system::announce_listener(service_.members->listener());
    }
    if (server_) server_->watch_again();
    for (ServerProcess& standby : standbys_) standby.watch_again();
    log::warning("{}: the daemon, process {}, has ended; process {} goes on", opened_.image_name,
                 before, ::getpid());
}

void Failover::forget_watches() {
    if (server_) server_->forget_watch();
    for (ServerProcess& standby : standbys_) standby.forget_watch();
    for (Dying& dying : dying_) dying.process.forget_watch();
    if (candidate_) candidate_->process.forget_watch();
}

/// Only the daemon that began it can end it: without that, what is under way has no effect.
void Failover::forget_upgrade() {
    candidate_.reset();
    dropped_.clear();
    switch_.reset();
    if (door_) door_->forget_visits();
}

void Failover::leave_daemon() {
    forget_watches();
    forget_upgrade();
    door_.reset();
    program_.reset();
    server_.reset();
    standbys_.clear();
    dying_.clear();
    standby_timer_.reset();
    if (service_.on_server_start) service_.on_server_start();
    service_.supervisor.leave_to_others();
    service_.members.reset();
    opened_.hold = {};
}

}  // namespace squenv::daemon
