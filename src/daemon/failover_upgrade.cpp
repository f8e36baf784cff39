// SPDX-License-Identifier: MIT
// A server of another program takes the place of one that lives, or of one that died later.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/log.h"
#include "base/remote_error.h"
#include "config.h"
#include "daemon/failover.h"
#include "daemon/handover.h"
#include "daemon/program_copy.h"

namespace squenv::daemon {

namespace {

/// For a program to start and to read the tables of an image, from slow storage too. The process
/// that asks waits twice as long.
constexpr std::chrono::seconds kPatience{30};

Error ended_early() {
    return {Errc::unsupported, 0, "the program has ended before it could serve",
            "see whether it is squenv, of a version that has 'upgrade'"};
}

std::string known(const std::string& version) {
    return version.empty() ? SQUENV_VERSION : version;
}

}  // namespace

/// Not before there are standbys: no program that waits for the mount shall wait for this.
void Failover::open_door() {
    if (door_ || opened_.device_minor == 0) return;
    auto door = Door::open(opened_.device_minor);
    if (door)
        door_ = std::move(*door);
    else
        log::debug("{}: takes no upgrade yet: {}", opened_.image_name, door.error().message());
}

void Failover::add_upgrade_sources(std::vector<EventSource>& sources) {
    if (door_)
        door_->add_sources(sources, [this](Door::Visit visit) { on_visit(std::move(visit)); });
    for (const ServerProcess& dropped : dropped_)
        sources.push_back(
            {dropped.socket(), [this, number = dropped.number()] { on_dropped(number); }});
    if (!candidate_) return;
    // A handler may have dropped it, and another one may have its place.
    const auto if_present = [this, number = candidate_->process.number()](auto act) {
        return [this, number, act] {
            if (candidate_ && candidate_->process.number() == number) act();
        };
    };
    sources.push_back(
        {candidate_->process.socket(), if_present([this] { on_candidate_message(); })});
    sources.push_back({candidate_->deadline.get(), if_present([this] {
                           on_candidate_failed({Errc::busy, 0, "the new server does not get ready",
                                                "see the log for what holds it up"});
                       })});
}

void Failover::on_visit(Door::Visit visit) {
    if (!visit.program) {
        // Without a server the connection closes, and the process asks again.
        const int asking = visit.connection.get();
        if (is_server_ready_ && server_) (void)server_->send(Order::statistics, {}, {&asking, 1});
        return;
    }
    if (candidate_ || switch_ || !is_server_ready_ || is_over_)
        return refuse_upgrade(visit, {Errc::busy, 0, "its server is being replaced already",
                                      "try again in a moment"});
    auto program = without_foreign_mount(std::move(visit.program));
    if (!program) return refuse_upgrade(visit, program.error());
    const auto status = start_candidate(std::move(*program));
    if (!status) return refuse_upgrade(visit, status.error());
    candidate_->visit = std::move(visit);
}

Status Failover::start_candidate(UniqueFd program) {
    SQUENV_TRY_ASSIGN(auto process,
                      ServerProcess::execute(++memory_.session->servers, program.get()));
    const auto sent = send_handover(process, request_, files_, opened_, memory_);
    if (!sent) {
        process.signal(SIGKILL);
        (void)process.bury();
        if (sent.error().sys_errno == EPIPE) return tl::unexpected(ended_early());
        return sent;
    }
    candidate_.emplace(
        Candidate{std::move(process), std::move(program), {}, make_timer(kPatience), {}});
    return {};
}

void Failover::on_candidate_message() {
    const auto message = candidate_->process.receive();
    if (!message && message.error().code == Errc::busy) return;
    const std::string_view bytes = message ? std::string_view(message->bytes) : "";
    const auto report = bytes.empty() ? Report::over : static_cast<Report>(bytes[0]);
    if (report == Report::alive) return candidate_->process.watch_death();
    if (report == Report::able) {
        candidate_->version = bytes.substr(1);
        // on_death() goes on, as with a server that dies by itself.
        if (server_) return server_->signal(SIGKILL);
        return serve_by_candidate();
    }
    const auto reason = report == Report::failed ? decode_error(bytes.substr(1)) : std::nullopt;
    on_candidate_failed(reason.value_or(ended_early()));
}

void Failover::serve_by_candidate() {
    Candidate chosen = std::move(*candidate_);
    candidate_.reset();
    if (!chosen.process.send(Order::serve)) {
        candidate_ = std::move(chosen);
        return on_candidate_failed(
            {Errc::environment, 0, "the new server has ended", "see the log"});
    }
    if (chosen.visit) switch_ = Switch{std::move(*chosen.visit), known(version_)};
    program_ = std::move(chosen.program);
    version_ = chosen.version;
    last_ignorant_ = memory_.session->servers;
    serve_by(std::move(chosen.process));
}

/// The server that lives goes on; without one, another is found.
void Failover::on_candidate_failed(const Error& reason) {
    const bool was_upgrade = candidate_->visit.has_value();
    drop_candidate(reason);
    if (server_) return;
    if (was_upgrade)
        find_server();
    else
        serve_by_own_program();
}

void Failover::drop_candidate(const Error& reason) {
    if (!candidate_) return;
    Candidate dropped = std::move(*candidate_);
    candidate_.reset();
    dropped.process.signal(SIGKILL);
    log::warning("{}: the server of another program, process {}, is of no use: {}",
                 opened_.image_name, dropped.process.pid(), reason.message());
    if (dropped.visit) refuse_upgrade(*dropped.visit, reason);
    // One that waits for storage is gone later, and only then it is waited for.
    dropped_.push_back(std::move(dropped.process));
}

void Failover::on_dropped(std::uint32_t number) {
    const auto dropped = find_number(dropped_, number);
    if (dropped == dropped_.end() || !dropped->is_gone()) return;
    (void)dropped->bury();
    dropped_.erase(dropped);
}

/// There is none. The program that serves goes on by a candidate, which takes some milliseconds.
void Failover::find_server() {
    if (is_ready_ && program_) {
        // An upgrade that is under way brings one, too.
        if (candidate_) return;
        UniqueFd program(::fcntl(program_.get(), F_DUPFD_CLOEXEC, 3));
        const auto status = start_candidate(std::move(program));
        if (status) return;
        log::warning("{}: version {} cannot be started again: {}", opened_.image_name, version_,
                     status.error().message());
    }
    serve_by_own_program();
}

void Failover::serve_by_own_program() {
    if (program_)
        log::warning("{}: version {}, which mounted, serves again", opened_.image_name,
                     SQUENV_VERSION);
    version_.clear();
    if (switch_)
        refuse_upgrade(switch_->visit, {Errc::environment, 0, "the new server has ended",
                                        "the program that mounted serves again; see the log"});
    switch_.reset();
    if (!is_ready_ || !activate_standby()) start_afresh();
}

/// A server answers.
void Failover::end_switch() {
    if (!switch_) return;
    const Switch made = std::move(*switch_);
    switch_.reset();
    const fuse::SessionMemory::Clock::duration pause{memory_.session->takeover.load()};
    answer_upgrade(made.visit, {made.from, known(version_), server_->pid(),
                                std::chrono::duration<double>(pause).count()});
}

std::size_t Failover::young_standbys() const {
    return static_cast<std::size_t>(std::count_if(
        standbys_.begin(), standbys_.end(),
        [this](const ServerProcess& standby) { return standby.number() > last_ignorant_; }));
}

}  // namespace squenv::daemon
