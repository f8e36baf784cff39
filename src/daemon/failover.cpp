// SPDX-License-Identifier: MIT
#include "daemon/failover.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/remote_error.h"

namespace squenv::daemon {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Deaths in this time, with no request answered in between, end the mount.
constexpr std::size_t kMaxFruitless = 20;
constexpr seconds kFruitlessTime{10};
/// One for each death that may come before another process is forked.
constexpr std::size_t kStandbys = 2;
/// When all processes of a mount are killed, those that the last ones have forked meanwhile are
/// left.
constexpr milliseconds kAtOnce{200};
/// Until then one standby is enough, and it prepares nothing: the processors belong to the programs
/// that waited for the mount.
constexpr milliseconds kStandbyDelay{100};
/// A process may be refused for a moment, as by a limit of processes.
constexpr int kForkAttempts = 50;
constexpr milliseconds kForkPause{100};
/// How long the walker, and a server that has ended, are waited for.
constexpr milliseconds kEndPatience{5000};

bool is_busy(const Error& error) {
    return error.code == Errc::busy;
}

/// How a process ended, as a clause.
std::string end_text(const std::optional<int>& status) {
    if (!status) return "has ended";
    if (WIFSIGNALED(*status)) return fmt::format("was ended by signal {}", WTERMSIG(*status));
    return fmt::format("has ended with status {}", WEXITSTATUS(*status));
}

/// A kill may have any reason; what else ends a server is its own fault.
bool is_crash(const std::optional<int>& status) {
    return status && !(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL);
}

void await_end(ServerProcess& process) {
    pollfd waiting{process.socket(), POLLRDHUP, 0};
    (void)::poll(&waiting, 1, static_cast<int>(kEndPatience.count()));
    (void)process.bury();
}

}  // namespace

Status Failover::start() {
    memory_.session->daemon = ::getpid();
    if (service_.members)
        service_.members->mirror_to(
            [this](std::uint64_t key, const share::Member& member) { mirror(key, member); });
    start_afresh();
    if (failure_) return tl::unexpected(*failure_);
    service_.namespaces = {};
    return {};
}

void Failover::add_sources(std::vector<EventSource>& sources) {
    // A handler may replace what a later one of the same wait is about.
    const auto if_present = [this](std::uint32_t number, auto act) {
        return [this, number, act] {
            if (server_ && server_->number() == number) (this->*act)();
        };
    };
    if (server_) {
        const auto number = server_->number();
        sources.push_back({server_->socket(), if_present(number, &Failover::on_message)});
        sources.push_back({server_->death_fd(), if_present(number, &Failover::on_death)});
    }
    if (standby_timer_)
        sources.push_back({standby_timer_.get(), [this] { standby_timer_.reset(); }});
    for (const ServerProcess& standby : standbys_)
        sources.push_back(
            {standby.socket(), [this, number = standby.number()] { on_standby_message(number); }});
    for (const Dying& dying : dying_)
        sources.push_back(
            {dying.process.socket(), [this, number = dying.process.number()] { on_gone(number); }});
    add_upgrade_sources(sources);
}

void Failover::tend(bool is_unmounting) {
    if (is_unmounting) {
        announce();
        if (candidate_ && candidate_->visit)
            on_candidate_failed({Errc::busy, 0, "it is being unmounted", {}});
        door_.reset();
        return drop_standbys();
    }
    if (is_killed_at_once())
        return give_up({Errc::environment, 0, "all processes of the mount were killed at once"});
    bool is_new = false;
    const bool is_time = is_server_ready_ && !standby_timer_ && !is_over_;
    if (is_time) open_door();
    const std::size_t wanted = is_time ? kStandbys : 1;
    while (is_server_ready_ && !is_over_ && young_standbys() < wanted) {
        const std::uint32_t number = ++memory_.session->servers;
        auto forked = ServerProcess::fork(number);
        if (!forked) {
            log::warning("no standby server: {}", forked.error().message());
            break;
        }
        if (forked->line) {
            stand_by(std::move(*forked->line), number);
            // This is the daemon now. The next to die may be it: first of all there is another.
            is_new = true;
        } else {
            standbys_.push_back(std::move(*forked->process));
        }
    }
    if (is_new) become_daemon();
    announce();
    // They are of no use, but that they could become the daemon until now.
    while (is_time && young_standbys() == kStandbys && standbys_.size() > kStandbys)
        drop_standby(standbys_.front().number());
}

/// Not before there is a standby: from here on programs depend on the mount.
void Failover::announce() {
    if (is_ready_ && !std::exchange(is_announced_, true) && service_.on_ready) service_.on_ready();
}

void Failover::on_message() {
    auto message = server_->receive();
    if (!message && is_busy(message.error())) return;
    if (!message || message->bytes.empty()) return on_death();
    switch (static_cast<Report>(message->bytes[0])) {
        case Report::alive: server_->watch_death(); break;
        case Report::ready:
            is_server_ready_ = true;
            end_switch();
            // Without a timer it is time now.
            if (!std::exchange(is_ready_, true)) standby_timer_ = make_timer(kStandbyDelay);
            break;
        case Report::walk_ended: has_walk_ended_ = true; break;
        case Report::able: break;  // of a candidate alone
        case Report::over: is_over_ = true; break;
        case Report::failed:
            auto error = decode_error(std::string_view(message->bytes).substr(1));
            if (!is_ready_ && error) give_up(std::move(*error));
            break;
    }
}

void Failover::on_standby_message(std::uint32_t number) {
    const auto standby = find_number(standbys_, number);
    if (standby == standbys_.end()) return;
    const auto message = standby->receive();
    if (!message && is_busy(message.error())) return;
    if (message && !message->bytes.empty()) return standby->watch_death();
    drop_standby(number);
}

/// The main thread has ended. The others end now, unless one is stuck in a store: what the dead
/// server has left is answered at once, which frees that thread.
void Failover::on_death() {
    has_walk_ended_ = true;
    if (is_over_ || memory_.session->is_over) {
        is_over_ = true;
        return;
    }
    const auto death = Clock::now();
    memory_.session->death = death.time_since_epoch().count();
    const bool is_replaced = is_candidate_able();
    std::vector<std::uint64_t> requests;
    if (!is_replaced) requests = memory_.session->journal.count_kill(server_->number());
    dying_.push_back({std::move(*server_), std::move(requests), is_replaced});
    server_.reset();
    is_server_ready_ = false;
    if (is_replaced)
        serve_by_candidate();
    else if (is_hopeless(death))
        give_up({Errc::environment, 0, "servers end again and again before they answer a request",
                 "see the log for what ends them"});
    else
        take_over();
}

void Failover::on_gone(std::uint32_t number) {
    const auto gone = std::find_if(dying_.begin(), dying_.end(), [number](const Dying& dying) {
        return dying.process.number() == number;
    });
    if (gone == dying_.end()) return;
    if (!gone->process.is_gone()) return;
    const auto status = gone->process.bury();
    const std::string next =
        server_ ? fmt::format("process {} goes on", server_->pid()) : "another one goes on";
    if (gone->is_replaced)
        log::info("{}: the server, process {}, was replaced by version {}; {}", opened_.image_name,
                  gone->process.pid(), version_, next);
    else
        log::warning("{}: the server, process {}, {}; {}", opened_.image_name, gone->process.pid(),
                     end_text(status), next);
    if (is_crash(status)) memory_.session->journal.count_crash(gone->requests);
    dying_.erase(gone);
    if (server_ && dying_.empty()) (void)server_->send(Order::settle);
}

void Failover::take_over() {
    ++memory_.session->restarts;
    find_server();
}

void Failover::serve_by(ServerProcess process) {
    server_ = std::move(process);
    if (dying_.empty()) (void)server_->send(Order::settle);
}

bool Failover::activate_standby() {
    while (!standbys_.empty()) {
        if (standbys_.front().send(Order::serve)) {
            serve_by(std::move(standbys_.front()));
            standbys_.erase(standbys_.begin());
            return true;
        }
        drop_standby(standbys_.front().number());
    }
    return false;
}

/// Before INIT was answered a server needs to know all that the one before has received.
void Failover::start_afresh() {
    if (!is_ready_) await_the_dying();
    const std::uint32_t number = ++memory_.session->servers;
    auto forked = ServerProcess::fork(number);
    for (int attempt = 1; !forked && attempt < kForkAttempts; ++attempt) {
        std::this_thread::sleep_for(kForkPause);
        forked = ServerProcess::fork(number);
    }
    if (!forked) return give_up(forked.error());
    if (forked->line) {
        auto server = create_server({number, number != 1, dying_.empty(), {}});
        serve(std::move(*forked->line), std::move(server));
    }
    server_ = std::move(forked->process);
}

void Failover::drop_standby(std::uint32_t number) {
    const auto standby = find_number(standbys_, number);
    if (standby == standbys_.end()) return;
    standby->signal(SIGKILL);
    (void)standby->bury();
    standbys_.erase(standby);
}

void Failover::drop_standbys() {
    while (!standbys_.empty()) drop_standby(standbys_.back().number());
}

void Failover::mirror(std::uint64_t key, const share::Member& member) {
    std::vector<int> descriptors{member.connection.get()};
    if (member.process) descriptors.push_back(member.process.get());
    std::vector<std::uint32_t> deaf;
    for (ServerProcess& standby : standbys_)
        if (!standby.send(Order::member, std::to_string(key), descriptors))
            deaf.push_back(standby.number());
    // One that does not take its messages is replaced by one that knows all members.
    for (const auto number : deaf) drop_standby(number);
}

/// No process lives that was there a moment ago, and they are not the first ones: the kills were
/// meant for the mount.
bool Failover::is_killed_at_once() const {
    const Clock::time_point begin{Clock::duration(memory_.session->started.load())};
    const auto then = std::max(begin, Clock::now() - kAtOnce);
    const auto is_new = [then](const ServerProcess& process) { return process.born() > then; };
    return born_ > then && service_.supervisor.born() > then && (!server_ || is_new(*server_)) &&
           std::all_of(standbys_.begin(), standbys_.end(), is_new);
}

bool Failover::is_hopeless(Clock::time_point death) {
    const auto answers = memory_.session->journal.answers();
    if (answers != answers_) fruitless_.clear();
    answers_ = answers;
    fruitless_.push_back(death);
    while (death - fruitless_.front() > kFruitlessTime) fruitless_.pop_front();
    return fruitless_.size() > kMaxFruitless;
}

void Failover::give_up(Error error) {
    kill();
    log::error("{}: {}; the mount ends", opened_.image_name, error.message());
    failure_ = std::move(error);
    is_over_ = true;
}

void Failover::await_the_dying() {
    for (Dying& dying : dying_) await_end(dying.process);
    dying_.clear();
}

void Failover::end_walk() {
    has_walk_ended_ = !is_server_ready_ || !server_ || !server_->send(Order::end_walk);
    const auto end = Clock::now() + kEndPatience;
    while (!has_walk_ended_ && !is_over_ && Clock::now() < end) {
        std::vector<EventSource> sources;
        add_sources(sources);
        if (!wait_for_events(sources, kEndPatience)) return;
    }
}

Status Failover::finish() {
    drop_standbys();
    drop_candidate({Errc::busy, 0, "it has been unmounted", {}});
    if (server_) await_end(*server_);
    await_the_dying();
    if (failure_) return tl::unexpected(*failure_);
    return {};
}

void Failover::resume() {
    if (server_) server_->signal(SIGCONT);
    for (const ServerProcess& standby : standbys_) standby.signal(SIGCONT);
    if (candidate_) candidate_->process.signal(SIGCONT);
}

void Failover::kill() {
    drop_standbys();
    drop_candidate({Errc::busy, 0, "the mount ends", {}});
    if (server_) server_->signal(SIGKILL);
    for (const Dying& dying : dying_) dying.process.signal(SIGKILL);
}

}  // namespace squenv::daemon
