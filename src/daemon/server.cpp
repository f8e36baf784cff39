// SPDX-License-Identifier: MIT
#include "daemon/server.h"

#include <sys/socket.h>

#include <string_view>

#include "base/log.h"
#include "config.h"
#include "daemon/sandbox.h"

namespace squenv::daemon {

Result<ServerMemory> ServerMemory::create(const Request& request) {
    ServerMemory memory;
    SQUENV_TRY_ASSIGN(memory.session, make_passable_object<fuse::SessionMemory>("squenv-session"));
    memory.session->layout = fuse::kMemoryLayout;
    std::string_view(SQUENV_VERSION)
        .copy(memory.session->daemon_version.data(), memory.session->daemon_version.size() - 1);
    if (!request.record_path.empty()) {
        SQUENV_TRY_ASSIGN(memory.recorder,
                          make_passable_object<fuse::RecorderMemory>("squenv-recorder"));
    }
    return memory;
}

Server::Server(const Request& request, RequestFiles& files, Opened& opened, ServerMemory& memory,
               Options options, Inbox inbox)
    : request_(request),
      files_(files),
      opened_(opened),
      memory_(memory),
      options_(std::move(options)),
      inbox_(std::move(inbox)) {
    if (memory_.recorder) recorder_.emplace(*memory_.recorder);
}

Result<std::unique_ptr<Server>> Server::create(const Request& request, RequestFiles& files,
                                               Opened& opened, ServerMemory& memory,
                                               const system::Namespaces& namespaces,
                                               Options options) {
    SQUENV_TRY_ASSIGN(auto inbox, Inbox::create());
    std::unique_ptr<Server> server(
        new Server(request, files, opened, memory, std::move(options), std::move(inbox)));
    const auto what =
        server->options_.is_successor ? Warmup::Share::reading : Warmup::Share::everything;
    SQUENV_TRY_ASSIGN(server->warmup_, Warmup::start(request, opened, namespaces, what));
    if (!opened.image) {
        drop_privileges();
        server->is_confined_ = true;
        SQUENV_TRY(open_view(request, opened));
    }
    SQUENV_TRY(server->create_session());
    return server;
}

Status Server::create_session() {
    fuse::SessionOptions options;
    warmup_->describe(options, inbox_);
    options.recorder = recorder_ ? &*recorder_ : nullptr;
    options.memory = memory_.session.get();
    options.server = options_.number;
    options.are_others_gone = options_.are_others_gone;
    options.threads = request_.threads;
    options.cpus = cpus_;
    options.trace = request_.trace;
    options.only_owner_and_root = request_.allow_root && !request_.allow_other;
    options.name = opened_.image_name;
    options.identity = opened_.identity;
    SQUENV_TRY_ASSIGN(session_, fuse::Session::create(*opened_.file_system, std::move(options),
                                                      std::move(opened_.device)));
    return {};
}

Status Server::start() {
    if (!is_confined_) drop_privileges();
    if (files_.stage) files_.stage->start(*opened_.image);
    warmup_->await_walker();
    return session_->start(
        [this] {
            if (options_.on_ready) options_.on_ready();
            if (files_.stage) files_.stage->begin();
            inbox_.post(Event::ready);
        },
        [this] { inbox_.post(Event::unmounted); });
}

void Server::add_sources(std::vector<EventSource>& sources) {
    sources.push_back({inbox_.fd(), [this] { on_event(); }});
    sources.push_back({warmup_->walker_fd(), [this] { warmup_->on_walker(*session_); }});
}

void Server::on_event() {
    switch (inbox_.take()) {
        case Event::ready:
            warmup_->on_ready();
            restrict_system_calls();
            is_ready_ = true;
            if (!is_settled_) settle();
            break;
        case Event::walk_after_pause: warmup_->walk_after_pause(*session_); break;
        case Event::walk_now: warmup_->walk_now(*session_); break;
        case Event::unmounted:
            end_walk();
            is_over_ = true;
            break;
    }
}

void Server::settle() {
    is_settled_ = is_ready_;
    if (is_ready_) session_->settle();
}

void Server::send_statistics(int socket) const {
    const std::string text = session_->statistics();
    (void)!::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Status Server::finish() {
    session_->join();
    write_recording();
    return {};
}

void Server::write_recording() {
    if (!files_.recording) return;
    const auto trace = recorder_->finish(*opened_.file_system, session_->counters());
    if (const auto written = files_.recording->write(trace); !written)
        log::error("{}", written.error().message());
}

}  // namespace squenv::daemon
