// SPDX-License-Identifier: MIT
// A server in a process of its own, as its daemon knows it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/socket_message.h"
#include "base/unique_fd.h"
#include "daemon/death_watch.h"

namespace squenv::daemon {

/// What a daemon sends, each as the first byte of a message.
enum class Order : char {
    serve = 's',     ///< to a standby: answer the kernel from now on
    settle = 't',    ///< the servers before are gone
    end_walk = 'w',  ///< answered by Report::walk_ended
    /// Has the connection of a process that asks, which gets the answer there.
    statistics = 'i',
    member = 'm',   ///< to a standby: the key and the descriptors of a member
    prepare = 'p',  ///< to another program, the first one: see send_handover()
};

/// What a server reports, likewise.
enum class Report : char {
    alive = 'a',       ///< its death can be watched
    ready = 'r',       ///< the mount answers
    walk_ended = 'w',  ///< see Order::end_walk
    over = 'o',        ///< the kernel closed the connection; the process ends
    failed = 'f',      ///< it cannot serve; an encoded error follows
    able = 'b',        ///< another program could serve at once; its version follows
};

/// Not thread-safe. The connection closes when all threads of the process are gone.
class ServerProcess {
  public:
    /// Either side of a fork.
    struct Fork;
    /// Before the daemon has threads that matter: the child has the calling one only.
    /// Errors: limit (no process, no descriptor, no memory).
    [[nodiscard]] static Result<Fork> fork(std::uint32_t number);
    /// Executes the file `program`, which may be open as a path only, as "squenv-server SOCKET". It
    /// adopts watch_descriptor(). What keeps it from starting comes as Report::failed. Errors:
    /// limit, unsupported.
    [[nodiscard]] static Result<ServerProcess> execute(std::uint32_t number, int program);

    [[nodiscard]] Status send(Order order, std::string_view text = {},
                              std::span<const int> descriptors = {});
    /// Empty bytes: the process is gone. Errors: busy (no message).
    [[nodiscard]] Result<SocketMessage> receive() { return receive_message(socket_.get()); }
    /// Whether it is, after a message that is of no use any more.
    [[nodiscard]] bool is_gone();
    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] int watch_descriptor() const { return watch_.descriptor(); }

    /// From now on death_fd() is readable when the main thread of the process has ended. Another
    /// thread may still be stuck in the kernel. Once it is alive.
    void watch_death();
    /// In a process that the daemon forked: the thread that watches is not here.
    void forget_watch() { death_.reset(); }
    /// In a new daemon: as the one before did.
    void watch_again() {
        if (is_watched_) watch_death();
    }
    [[nodiscard]] int death_fd() const { return death_.get(); }

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::uint32_t number() const { return number_; }
    /// When it was forked.
    [[nodiscard]] std::chrono::steady_clock::time_point born() const { return born_; }
    void signal(int number) const;
    /// Once it is gone, or is being killed: waits for its end. Returns how it ended, as waitpid(2)
    /// has it; nothing when another daemon forked it.
    std::optional<int> bury();

  private:
    ServerProcess(std::uint32_t number, pid_t pid, UniqueFd socket, DeathWatch watch)
        : number_(number), pid_(pid), socket_(std::move(socket)), watch_(std::move(watch)) {}

    std::uint32_t number_;
    pid_t pid_;
    UniqueFd socket_;
    DeathWatch watch_;
    DeathNotice death_{};
    bool is_watched_ = false;
    std::chrono::steady_clock::time_point born_ = std::chrono::steady_clock::now();
};

/// The end of `processes` when none has that number.
[[nodiscard]] std::vector<ServerProcess>::iterator find_number(
    std::vector<ServerProcess>& processes, std::uint32_t number);

/// The server's end of the connection to its daemon.
class DaemonLine {
  public:
    /// The calling thread is watched from now on.
    DaemonLine(UniqueFd socket, DeathWatch watch)
        : socket_(std::move(socket)), watch_(std::move(watch)) {
        watch_.be_watched();
    }
    /// The process is no server any more.
    void end() { watch_.end_watch(); }
    void send(Report report, std::string_view text = {}) const;
    /// Waits. Empty bytes: the daemon is gone.
    [[nodiscard]] SocketMessage receive() const;
    [[nodiscard]] int socket() const { return socket_.get(); }

  private:
    UniqueFd socket_;
    DeathWatch watch_;
};

struct ServerProcess::Fork {
    std::optional<ServerProcess> process{};  ///< in the parent
    std::optional<DaemonLine> line{};        ///< in the child
};

}  // namespace squenv::daemon
