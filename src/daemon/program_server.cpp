// SPDX-License-Identifier: MIT
#include "daemon/program_server.h"

#include <memory>
#include <string>

#include "base/remote_error.h"
#include "config.h"
#include "daemon/daemon.h"
#include "daemon/handover.h"
#include "daemon/server_main.h"

namespace squenv::daemon {

namespace {

[[noreturn]] void refuse(const DaemonLine& line, const Error& error) {
    line.send(Report::failed, encode_error(error));
    end_process(1);
}

/// What a standby of the daemon's program has from the fork, made from what was sent.
Result<std::unique_ptr<Server>> prepare(Handover& handover) {
    SQUENV_TRY_ASSIGN(auto server,
                      Server::create(handover.request, handover.files, handover.opened,
                                     handover.memory, {}, {handover.number, true, false, {}}));
    SQUENV_TRY(server->rehearse());
    return server;
}

/// Messages before are of no concern: this process may never serve.
void await_order(const DaemonLine& line) {
    for (;;) {
        const auto message = line.receive();
        if (message.bytes.empty()) end_process(0);
        if (static_cast<Order>(message.bytes[0]) == Order::serve) return;
    }
}

}  // namespace

void run_program_server(UniqueFd socket) {
    set_process_name("squenv-standby");
    limit_allocator();
    auto message = receive_message(socket.get());
    if (!message) end_process(1);
    auto watch = take_death_watch(*message);
    if (!watch) {
        (void)send_message(socket.get(),
                           static_cast<char>(Report::failed) + encode_error(watch.error()));
        end_process(1);
    }
    DaemonLine line(std::move(socket), std::move(*watch));
    line.send(Report::alive);
    auto handover = take_handover(*message);
    if (!handover) refuse(line, handover.error());
    handover->files.log.use();
    auto server = prepare(*handover);
    if (!server) refuse(line, server.error());
    line.send(Report::able, SQUENV_VERSION);
    await_order(line);
    set_process_name("squenv-server");
    if (const auto status = (*server)->start(); !status) refuse(line, status.error());
    ServerMain(**server, line, ServerMain::WithoutDaemon::ends).run(*handover->memory.session);
}

}  // namespace squenv::daemon
