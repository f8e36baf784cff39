// SPDX-License-Identifier: MIT
#include "mount/keeper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "mount/companion.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/mountpoint_hold.h"

namespace squenv::mount {

namespace {

enum class Command : char { mounted = 'm', unmount = 'u', lazy = 'z', dismiss = 'd' };

/// Whoever was mounting is gone. What it started may still mount: fusermount3 takes a few ms.
constexpr int kStrayLooks = 50;
constexpr timespec kStrayPause{0, 20'000'000};

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

std::uint32_t device_minor_at(const std::string& mountpoint) {
    const auto entry = find_mount(mountpoint);
    return entry && *entry ? (*entry)->device_minor : 0;
}

/// Unmounts wherever the mount is now: a directory above it may have been renamed.
Status unmount_device(const std::string& mountpoint, std::uint32_t device_minor,
                      UnmountMode mode) {
    if (device_minor == 0) return unmount(mountpoint, mode);
    const auto place = mountpoint_of_device(device_minor);
    if (!place) return fail_errno(ENOENT, mountpoint + ": not mounted any more");
    return unmount(*place, mode);
}

/// Detaches a mount that nobody serves, if one turns up.
void clean_up_stray(const std::string& mountpoint, std::uint32_t before) {
    for (int look = 0; !mountpoint.empty() && look < kStrayLooks; ++look) {
        if (device_minor_at(mountpoint) != before && is_stale(mountpoint)) {
            (void)unmount(mountpoint, UnmountMode::lazy);
            return;
        }
        ::nanosleep(&kStrayPause, nullptr);
    }
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
    const std::uint32_t before = device_minor_at(mountpoint);
    std::uint32_t device_minor = 0;
    char byte = 0;
    while (receive_byte(3, byte)) {
        switch (static_cast<Command>(byte)) {
            case Command::mounted: device_minor = device_minor_at(mountpoint); break;
            case Command::dismiss: finish(duties);
            case Command::unmount:
                send_byte(3, to_byte(unmount_device(mountpoint, device_minor, UnmountMode::normal)));
                break;
            case Command::lazy:
                send_byte(3, to_byte(unmount_device(mountpoint, device_minor, UnmountMode::lazy)));
                break;
        }
    }
    if (device_minor != 0)
        (void)unmount_device(mountpoint, device_minor, UnmountMode::lazy);
    else
        clean_up_stray(mountpoint, before);
    finish(duties);
}

}  // namespace

Result<Keeper> Keeper::start(const KeeperDuties& duties) {
    SQUENV_TRY_ASSIGN(auto socket,
                      fork_detached([&](int theirs) { run_keeper(theirs, duties); }));
    return Keeper(std::move(socket));
}

void Keeper::mounted() {
    send_byte(socket_.get(), static_cast<char>(Command::mounted));
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
