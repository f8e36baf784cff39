// SPDX-License-Identifier: MIT
#include "system/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/process_limits.h"

namespace squenv::system {

Result<ChildProcess> fork_child(const std::function<void(int socket)>& run) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(errno, "socketpair");
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return fail_fork(errno);
    if (child == 0) {
        ours.reset();  // otherwise the child would not see the end of the other side
        run(theirs.get());
        ::_exit(0);
    }
    return ChildProcess{std::move(ours), child};
}

Result<UniqueFd> fork_detached(const std::function<void(int socket)>& run) {
    SQUENV_TRY_ASSIGN(auto intermediate, fork_child([&run](int socket) {
                          if (::fork() == 0) run(socket);
                      }));
    reap(intermediate.pid);
    return std::move(intermediate.socket);
}

bool send_byte(int fd, char byte) {
    ssize_t sent = 0;
    do {
        sent = ::send(fd, &byte, 1, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == 1;
}

bool receive_byte(int fd, char& byte) {
    ssize_t got = 0;
    do {
        got = ::recv(fd, &byte, 1, 0);
    } while (got < 0 && errno == EINTR);
    return got == 1;
}

void keep_only(int socket, int other) {
    const int high = other >= 0 ? ::fcntl(other, F_DUPFD_CLOEXEC, 10) : -1;
    if (::dup2(socket, 3) < 0) ::_exit(1);
    if (high >= 0 && ::dup2(high, 4) < 0) ::_exit(1);
    ::close_range(high >= 0 ? 5 : 4, ~0U, 0);
}

void close_all_but(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned first = 0;
    for (const int fd : kept) {
        const auto number = static_cast<unsigned>(fd);
        if (number > first) ::close_range(first, number - 1, 0);
        first = number + 1;
    }
    ::close_range(first, ~0U, 0);
}

void reap(pid_t child) {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace squenv::system
