// SPDX-License-Identifier: MIT
// A server whose death no user notices: the daemon holds the connection, and another server goes
// on.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/door.h"
#include "daemon/server.h"
#include "daemon/server_process.h"
#include "daemon/service.h"
#include "daemon/serving.h"
#include "daemon/upgrade.h"

namespace squenv::daemon {

/// Serves in a process that parses the image in a sandbox. The daemon itself only holds what must
/// not be lost: the connection, the members, and the requests that are under way, in memory that it
/// shares with the server. Standby processes wait, forked in advance, for one of two deaths:
///
/// - The server dies. A standby gives up its rights, answers what the server has left, and
///   serves. The daemon forks another standby.
/// - The daemon dies. A standby is the daemon from then on: tend() returns in it as if it had
///   never been another process. It knows the members from copies of their descriptors.
///
/// An upgrade ends a server on purpose, when a candidate has proved that it can serve: a process of
/// another program, which is executed and not forked.
class Failover final : public Serving {
  public:
    /// All of them outlive it.
    Failover(const Request& request, RequestFiles& files, Opened& opened, Service& service,
             ServerMemory& memory)
        : request_(request), files_(files), opened_(opened), service_(service), memory_(memory) {}

    [[nodiscard]] Status start() override;
    void add_sources(std::vector<EventSource>& sources) override;
    void tend(bool is_unmounting) override;
    [[nodiscard]] bool is_ready() const override { return is_ready_; }
    [[nodiscard]] bool is_over() const override { return is_over_; }
    [[nodiscard]] double idle_seconds() const override { return memory_.session->idle_seconds(); }
    void end_walk() override;
    [[nodiscard]] Status finish() override;
    void resume() override;
    void kill() override;

  private:
    using Clock = std::chrono::steady_clock;
    /// A server whose main thread has ended, until the whole process has.
    struct Dying {
        ServerProcess process;
        std::vector<std::uint64_t> requests;  ///< it was working on
        bool is_replaced = false;             ///< by an upgrade
    };
    /// A server of another program, until it serves.
    struct Candidate {
        ServerProcess process;
        UniqueFd program;
        /// Of the process that asks for an upgrade; none when the program serves already, and the
        /// candidate takes the place of a server that died.
        std::optional<Door::Visit> visit{};
        UniqueFd deadline{};    ///< readable when it has had time enough
        std::string version{};  ///< empty until it can serve
    };
    /// An upgrade whose server does not answer yet.
    struct Switch {
        Door::Visit visit;
        std::string from;
    };

    // In the daemon.
    void announce();
    void on_message();
    void on_standby_message(std::uint32_t number);
    void on_death();
    void on_gone(std::uint32_t number);
    void take_over();
    void start_afresh();
    void serve_by(ServerProcess process);
    [[nodiscard]] bool activate_standby();
    void drop_standby(std::uint32_t number);
    void drop_standbys();
    void mirror(std::uint64_t key, const share::Member& member);
    [[nodiscard]] bool is_killed_at_once() const;
    [[nodiscard]] bool is_hopeless(Clock::time_point death);
    void give_up(Error error);
    void await_the_dying();

    // Upgrades, in the daemon (failover_upgrade.cpp).
    void open_door();
    void on_visit(Door::Visit visit);
    [[nodiscard]] Status start_candidate(UniqueFd program);
    void add_upgrade_sources(std::vector<EventSource>& sources);
    void on_candidate_message();
    [[nodiscard]] bool is_candidate_able() const {
        return candidate_ && !candidate_->version.empty();
    }
    void serve_by_candidate();
    void on_candidate_failed(const Error& reason);
    void drop_candidate(const Error& reason);
    void on_dropped(std::uint32_t number);
    void find_server();
    void serve_by_own_program();
    void end_switch();
    [[nodiscard]] std::size_t young_standbys() const;

    // In a process that was forked.
    [[noreturn]] void serve(DaemonLine line, Result<std::unique_ptr<Server>> server);
    [[nodiscard]] Result<std::unique_ptr<Server>> create_server(Server::Options options);
    void stand_by(DaemonLine line, std::uint32_t number);
    void become_daemon();
    void forget_watches();
    void forget_upgrade();
    void leave_daemon();

    const Request& request_;
    RequestFiles& files_;
    Opened& opened_;
    Service& service_;
    ServerMemory& memory_;

    std::optional<ServerProcess> server_{};
    /// The oldest first. The younger ones hold the connections of the older ones, too: when the
    /// daemon dies, the youngest takes its place.
    std::vector<ServerProcess> standbys_{};
    std::vector<Dying> dying_{};
    Clock::time_point born_{};      ///< this process, when it began as a standby
    UniqueFd standby_timer_{};      ///< readable when it is time for all standbys; empty: it was
    bool is_ready_ = false;         ///< INIT was answered
    bool is_announced_ = false;     ///< to those who wait for the mount
    bool is_server_ready_ = false;  ///< the present server is; no standby is forked before
    bool has_walk_ended_ = false;
    bool is_over_ = false;
    std::optional<Error> failure_{};
    std::deque<Clock::time_point> fruitless_{};  ///< deaths since the last answer
    std::uint64_t answers_ = 0;                  ///< at the last death

    std::optional<Door> door_{};
    std::optional<Candidate> candidate_{};
    std::vector<ServerProcess> dropped_{};  ///< candidates that were killed, until they are gone
    std::optional<Switch> switch_{};
    UniqueFd program_{};     ///< whose server serves; empty: the one that mounted
    std::string version_{};  ///< of that server; empty: of the one that mounted
    /// Standbys with a number up to this one do not know the server: it was executed later.
    std::uint32_t last_ignorant_ = 0;
};

}  // namespace squenv::daemon
