// SPDX-License-Identifier: MIT
// The processes that a daemon forks: a server, and a standby that becomes a server or the daemon.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "base/log.h"
#include "base/remote_error.h"
#include "daemon/failover.h"
#include "share/rendezvous.h"

namespace squenv::daemon {

namespace {

[[noreturn]] void end_process(int status) {
    log::stop();
    std::_Exit(status);
}

/// Names of processes have 15 bytes.
void set_process_name(const char* name) {
    (void)::prctl(PR_SET_NAME, name);
}

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

/// The main thread of a server process.
class ServerMain {
  public:
    ServerMain(Server& server, DaemonLine line) : server_(server), line_(std::move(line)) {}

    void run() {
        while (!server_.is_over()) {
            std::vector<EventSource> sources;
            server_.add_sources(sources);
            if (has_daemon_) sources.push_back({line_.socket(), [this] { obey(); }});
            if (!wait_for_events(sources, {})) end_process(1);
            if (server_.is_ready() && !std::exchange(is_told_, true)) line_.send(Report::ready);
        }
    }
    void report_over() { line_.send(Report::over); }

  private:
    void obey() {
        const auto message = line_.receive();
        if (message.bytes.empty()) {
            // No daemon knows the mount yet.
            if (!server_.is_ready()) end_process(1);
            has_daemon_ = false;
            return;
        }
        const auto order = static_cast<Order>(message.bytes[0]);
        if (order == Order::settle) server_.settle();
        if (order != Order::end_walk) return;
        server_.end_walk();
        line_.send(Report::walk_ended);
    }

    Server& server_;
    DaemonLine line_;
    bool has_daemon_ = true;
    bool is_told_ = false;
};

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
    ServerMain main(**server, std::move(line));
    main.run();
    const auto finished = (*server)->finish();
    memory_.session->is_over = true;
    main.report_over();
    end_process(finished ? 0 : 1);
}

void Failover::stand_by(DaemonLine line, std::uint32_t number) {
    const std::string name = process_name();
    born_ = Clock::now();
    set_process_name("squenv-standby");
    forget_watches();
    if (service_.members) service_.members->become_shadow();
    // What can be done before it is needed. Nothing is read of the image: it has all its rights.
    auto server = create_server({number, true, false, {}});
    bool has_daemon = true;
    const auto obey = [&] {
        auto message = line.receive();
        if (message.bytes.empty()) {
            has_daemon = false;
            return;
        }
        switch (static_cast<Order>(message.bytes[0])) {
            case Order::serve: serve(std::move(line), std::move(server));
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
            share::announce_listener(service_.members->listener());
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
}

void Failover::leave_daemon() {
    forget_watches();
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
