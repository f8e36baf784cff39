// SPDX-License-Identifier: MIT
#include "daemon/server_main.h"

#include <sys/prctl.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "base/log.h"

namespace squenv::daemon {

void end_process(int status) {
    log::stop();
    std::_Exit(status);
}

void set_process_name(const char* name) {
    (void)::prctl(PR_SET_NAME, name);
}

void ServerMain::run(fuse::SessionMemory& memory) {
    while (!server_.is_over()) {
        std::vector<EventSource> sources;
        server_.add_sources(sources);
        if (has_daemon_) sources.push_back({line_.socket(), [this] { obey(); }});
        if (!wait_for_events(sources, {})) end_process(1);
        if (server_.is_ready() && !std::exchange(is_told_, true)) line_.send(Report::ready);
    }
    const auto finished = server_.finish();
    memory.is_over = true;
    line_.send(Report::over);
    end_process(finished ? 0 : 1);
}

void ServerMain::obey() {
    const auto message = line_.receive();
    if (message.bytes.empty()) {
        // No daemon knows the mount yet, or another server has it.
        if (!server_.is_ready() || without_ == WithoutDaemon::ends) end_process(1);
        has_daemon_ = false;
        return;
    }
    const auto order = static_cast<Order>(message.bytes[0]);
    if (order == Order::settle) server_.settle();
    if (order == Order::statistics && !message.descriptors.empty())
        server_.send_statistics(message.descriptors.front().get());
    if (order != Order::end_walk) return;
    server_.end_walk();
    line_.send(Report::walk_ended);
}

}  // namespace squenv::daemon
