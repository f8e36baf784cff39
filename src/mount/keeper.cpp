// SPDX-License-Identifier: MIT
#include "mount/keeper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "mount/companion.h"
#include "mount/mount_table.h"
#include "mount/mountpoint_hold.h"

namespace squenv::mount {

namespace {

enum class Command : char { unmount = 'u', lazy = 'z', dismiss = 'd' };

/// One byte each way: a command, and an errno value (0 for success).
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

char to_byte(const Status& status) {
    if (status) return 0;
    const int code = status.error().sys_errno != 0 ? status.error().sys_errno : EPERM;
    return static_cast<char>(code);
}

/// Closes every descriptor but these and the standard ones, and makes `socket` number 3.
void keep_only(int socket, int held_fd) {
    const int high = held_fd >= 0 ? ::fcntl(held_fd, F_DUPFD_CLOEXEC, 10) : -1;
    if (::dup2(socket, 3) < 0) ::_exit(1);
    if (high >= 0 && ::dup2(high, 4) < 0) ::_exit(1);
    ::close_range(high >= 0 ? 5 : 4, ~0U, 0);
}

/// The daemon is gone. Detaches the mount unless somebody mounted anew over it meanwhile.
void clean_up(const std::string& mountpoint, std::uint32_t device_minor) {
    if (mountpoint.empty()) return;
    const auto entry = find_mount(mountpoint);
    if (entry && *entry && (*entry)->device_minor == device_minor)
        (void)unmount(mountpoint, UnmountMode::lazy);
}

/// All is clean but for the directories, whose removal may have to wait: nobody must wait for us.
[[noreturn]] void finish(const KeeperDuties& duties) {
    ::close_range(3, ~0U, 0);
    remove_mountpoint(duties.created);
    ::_exit(0);
}

[[noreturn]] void run_keeper(int socket, const KeeperDuties& duties) {
    const std::string& mountpoint = duties.mountpoint;
    ::setsid();
    ::prctl(PR_SET_NAME, "squenv-keeper");
    // The terminal's signals and the end of the session are the daemon's business.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1})
        ::signal(signal, SIG_IGN);
    // Whoever reads our output through a pipe must see its end while the mount lives.
    if (const auto null = open_file("/dev/null", O_RDWR))
        for (int fd = 0; fd <= 2; ++fd) ::dup2(null->get(), fd);
    keep_only(socket, duties.held_fd);
    if (::chdir("/") != 0) ::_exit(1);
    const auto mounted = find_mount(mountpoint);
    const std::uint32_t device_minor = mounted && *mounted ? (*mounted)->device_minor : 0;
    char byte = 0;
    while (receive_byte(3, byte)) {
        switch (static_cast<Command>(byte)) {
            case Command::dismiss: finish(duties);
            case Command::unmount:
                send_byte(3, to_byte(unmount(mountpoint, UnmountMode::normal)));
                break;
            case Command::lazy:
                send_byte(3, to_byte(unmount(mountpoint, UnmountMode::lazy)));
                break;
        }
    }
    clean_up(mountpoint, device_minor);
    finish(duties);
}

}  // namespace

Result<Keeper> Keeper::start(const KeeperDuties& duties) {
    SQUENV_TRY_ASSIGN(auto process,
                      fork_companion([&](int socket) { run_keeper(socket, duties); }));
    return Keeper(std::move(process.socket));
}

Status Keeper::unmount(UnmountMode mode) {
    const auto command = mode == UnmountMode::lazy ? Command::lazy : Command::unmount;
    char answer = 0;
    if (!send_byte(socket_.get(), static_cast<char>(command)) ||
        !receive_byte(socket_.get(), answer))
        return fail(Errc::io, "the keeper process is gone");
    if (answer != 0) return fail_errno(answer, "unmount");
    return {};
}

void Keeper::dismiss() {
    send_byte(socket_.get(), static_cast<char>(Command::dismiss));
    socket_.reset();
}

}  // namespace squenv::mount
