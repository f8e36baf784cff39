// SPDX-License-Identifier: MIT
#include "daemon/server_process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>

#include "base/log.h"
#include "base/process_limits.h"
#include "base/remote_error.h"

namespace squenv::daemon {

namespace {

std::string word(char first, std::string_view text) {
    return first + std::string(text);
}

struct Ends {
    UniqueFd ours;
    UniqueFd theirs;
};

Result<Ends> make_ends() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(errno, "socketpair");
    return Ends{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

[[noreturn]] void become_program(int program, int socket) {
    ::fcntl(socket, F_SETFD, 0);
    std::string name = "squenv-server";
    std::string number = std::to_string(socket);
    char* const words[] = {name.data(), number.data(), nullptr};
    (void)::execveat(program, "", words, environ, AT_EMPTY_PATH);
    const auto error =
        fail_errno(errno, "the program cannot be started", "see whether it starts with --version")
            .value();
    // A message that stays unread would cost the daemon this one.
    (void)receive_message(socket);
    (void)send_message(socket, word(static_cast<char>(Report::failed), encode_error(error)));
    ::_exit(1);
}

}  // namespace

Result<ServerProcess> ServerProcess::execute(std::uint32_t number, int program) {
    SQUENV_TRY_ASSIGN(auto watch, DeathWatch::create_passable());
    SQUENV_TRY_ASSIGN(auto ends, make_ends());
    const pid_t pid = ::fork();
    if (pid < 0) return fail_fork(errno);
    if (pid == 0) become_program(program, ends.theirs.get());
    ::fcntl(ends.ours.get(), F_SETFL, O_NONBLOCK);
    return ServerProcess(number, pid, std::move(ends.ours), std::move(watch));
}

Result<ServerProcess::Fork> ServerProcess::fork(std::uint32_t number) {
    SQUENV_TRY_ASSIGN(auto watch, DeathWatch::create());
    SQUENV_TRY_ASSIGN(auto ends, make_ends());
    auto& [ours, theirs] = ends;
    const pid_t pid = ::fork();
    if (pid < 0) return fail_fork(errno);
    Fork result;
    if (pid == 0) {
        ours.reset();
        result.line.emplace(std::move(theirs), std::move(watch));
        result.line->send(Report::alive);
    } else {
        ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
        result.process = ServerProcess(number, pid, std::move(ours), std::move(watch));
    }
    return result;
}

Status ServerProcess::send(Order order, std::string_view text, std::span<const int> descriptors) {
    return send_message(socket_.get(), word(static_cast<char>(order), text), descriptors);
}

bool ServerProcess::is_gone() {
    const auto message = receive();
    return message ? message->bytes.empty() : message.error().code != Errc::busy;
}

std::vector<ServerProcess>::iterator find_number(std::vector<ServerProcess>& processes,
                                                 std::uint32_t number) {
    return std::find_if(processes.begin(), processes.end(), [number](const ServerProcess& process) {
        return process.number() == number;
    });
}

void ServerProcess::watch_death() {
    auto death = watch_.watch();
    if (!death) return log::warning("the death of a server: {}", death.error().message());
    death_ = std::move(*death);
    is_watched_ = true;
}

void ServerProcess::signal(int number) const {
    ::kill(pid_, number);
}

std::optional<int> ServerProcess::bury() {
    death_.reset();
    int status = 0;
    pid_t ended = 0;
    do {
        ended = ::waitpid(pid_, &status, 0);
    } while (ended < 0 && errno == EINTR);
    return ended == pid_ ? std::optional(status) : std::nullopt;
}

void DaemonLine::send(Report report, std::string_view text) const {
    (void)send_message(socket_.get(), word(static_cast<char>(report), text));
}

SocketMessage DaemonLine::receive() const {
    auto message = receive_message(socket_.get());
    return message ? std::move(*message) : SocketMessage{};
}

}  // namespace squenv::daemon
