// SPDX-License-Identifier: MIT
#include "daemon/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "mount/connection.h"
#include "mount/mountpoint.h"
#include "mount/mountpoint_hold.h"
#include "share/left_processes.h"
#include "system/child_process.h"
#include "system/mount_table.h"
#include "system/starter.h"

namespace squenv::daemon {

namespace {

enum class Command : char {
    mounted = 'm',
    watch = 'w',
    leave = 'l',  ///< unmount, unless a process is left that was started from a run
    unmount = 'u',
    lazy = 'z',
    dismiss = 'd',
};

/// The errno value for a mount that is in no mount table any more.
constexpr int kGone = ENODEV;
constexpr const char* kSupervisorIsGone = "the supervisor process is gone";
/// The number of looks for a mount that was renamed while it was unmounted.
constexpr int kPlaceLooks = 100;

/// The mounting process is gone. Its child may still mount: fusermount3 takes a few ms.
constexpr int kStrayLooks = 50;
constexpr timespec kStrayPause{0, 20'000'000};

/// One byte each way: a command, and an errno value (0 for success).
char to_byte(const Status& status) {
    if (status) return 0;
    const int code = status.error().sys_errno != 0 ? status.error().sys_errno : EPERM;
    return static_cast<char>(code);
}

std::uint32_t receive_number(int fd) {
    std::uint32_t number = 0;
    char byte = 0;
    for (unsigned shift = 0; shift < 32 && system::receive_byte(fd, byte); shift += 8)
        number |= static_cast<std::uint32_t>(static_cast<unsigned char>(byte)) << shift;
    return number;
}

/// Unmounts at the present path of the mount: a directory above it may have been renamed, also just
/// now. A path stands for its visible mount: one that another mount covers is busy until that ends.
Status unmount_device(const std::string& mountpoint, std::uint32_t device_minor,
                      mount::UnmountMode mode) {
    if (device_minor == 0) return mount::unmount(mountpoint, mode);
    for (int look = 0; look < kPlaceLooks; ++look) {
        const auto place = system::mountpoint_of_device(device_minor);
        if (!place) return fail_errno(kGone, mountpoint + ": not mounted any more");
        if (system::minor_at(*place) != device_minor)
            return fail_errno(EBUSY, *place + ": another mount covers it");
        const auto status = mount::unmount(*place, mode);
        const bool is_there = system::mountpoint_of_device(device_minor) == place;
        // One came above it between the look and the unmount, and was taken away: its users see
        // this.
        if (status && is_there) return fail_errno(EBUSY, *place + ": another mount covered it");
        if (status || is_there) return status;
    }
    return fail_errno(EAGAIN, mountpoint + ": is being renamed all the time");
}

/// Detaches a mount that no daemon serves, if one appears.
void clean_up_stray(const std::string& mountpoint, std::uint32_t before) {
    for (int look = 0; !mountpoint.empty() && look < kStrayLooks; ++look) {
        if (system::minor_at(mountpoint) != before && mount::is_stale(mountpoint)) {
            (void)mount::unmount(mountpoint, mount::UnmountMode::lazy);
            return;
        }
        ::nanosleep(&kStrayPause, nullptr);
    }
}

/// All is clean but the directories, whose removal may have to wait. No process must wait for this
/// one.
[[noreturn]] void finish(const SupervisorDuties& duties) {
    ::close_range(3, ~0U, 0);
    mount::remove_mountpoint_at_last(duties.created);
    ::_exit(0);
}

/// The supervisor's state while the daemon lives.
class Duty {
  public:
    Duty(const SupervisorDuties& duties, DeathWatch watch)
        : duties_(duties), watch_(std::move(watch)), device_minor_(duties.device_minor) {}

    /// Runs until the daemon dismisses the supervisor, or is gone.
    void serve();
    /// The work that remains then.
    [[noreturn]] void clean_up();

  private:
    void obey(Command command);
    [[nodiscard]] bool is_there() const {
        return device_minor_ == 0 || system::mountpoint_of_device(device_minor_).has_value();
    }
    /// The errno value of the answer. A daemon that dies while it unmounts, with a thread in a
    /// store, would keep the unmount waiting for ever: its connection is ended.
    [[nodiscard]] char unmount(mount::UnmountMode mode) const;
    [[nodiscard]] bool has_command() const;

    const SupervisorDuties& duties_;
    DeathWatch watch_;
    DeathNotice death_{};  ///< readable when the daemon's main thread has ended
    std::uint32_t device_minor_;
    std::uint32_t minor_before_ = system::minor_at(duties_.mountpoint);
    bool is_dismissed_ = false;
};

char Duty::unmount(mount::UnmountMode mode) const {
    const auto child = system::fork_child([&](int socket) {
        system::send_byte(socket, to_byte(unmount_device(duties_.mountpoint, device_minor_, mode)));
    });
    if (!child) return to_byte(tl::unexpected(child.error()));
    pollfd waiting[2] = {{child->socket.get(), POLLIN, 0}, {death_.get(), POLLIN, 0}};
    while (::poll(waiting, 2, -1) < 0 && errno == EINTR) {
    }
    if (waiting[0].revents == 0 && device_minor_ != 0) (void)mount::abort_connection(device_minor_);
    char answer = EIO;
    system::receive_byte(child->socket.get(), answer);
    system::reap(child->pid);
    return answer;
}

/// Waits for a command or for the death of the daemon. Commands sent before the death count.
bool Duty::has_command() const {
    pollfd waiting[2] = {{3, POLLIN, 0}, {death_.get(), POLLIN, 0}};
    while (::poll(waiting, 2, -1) < 0 && errno == EINTR) {
    }
    return waiting[0].revents != 0;
}

void Duty::obey(Command command) {
    switch (command) {
        case Command::mounted: device_minor_ = receive_number(3); break;
        case Command::watch:
            if (auto death = watch_.watch()) death_ = std::move(*death);
            break;
        case Command::dismiss: is_dismissed_ = true; break;
        case Command::leave:
            system::send_byte(3, is_there() && share::has_left_processes(duties_.mountpoint)
                                     ? static_cast<char>(EBUSY)
                                     : unmount(mount::UnmountMode::normal));
            break;
        case Command::unmount: system::send_byte(3, unmount(mount::UnmountMode::normal)); break;
        case Command::lazy: system::send_byte(3, unmount(mount::UnmountMode::lazy)); break;
    }
}

void Duty::serve() {
    char byte = 0;
    while (!is_dismissed_ && has_command() && system::receive_byte(3, byte))
        obey(static_cast<Command>(byte));
}

void Duty::clean_up() {
    if (is_dismissed_) finish(duties_);
    // A stuck thread of the daemon keeps the connection open. It and all users of the mount wait
    // for each other until the connection is ended.
    if (device_minor_ != 0) (void)mount::abort_connection(device_minor_);
    if (!duties_.mountpoint.empty() && device_minor_ != 0)
        (void)unmount_device(duties_.mountpoint, device_minor_, mount::UnmountMode::lazy);
    else
        clean_up_stray(duties_.mountpoint, minor_before_);
    finish(duties_);
}

[[noreturn]] void run_supervisor(int socket, const SupervisorDuties& duties, DeathWatch watch) {
    ::setsid();
    ::prctl(PR_SET_NAME, "squenv-supervis");
    // The terminal's signals and the end of the session concern the daemon.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1})
        ::signal(signal, SIG_IGN);
    // A program that reads the output of this process through a pipe must see its end while the
    // mount lives.
    if (const auto null = open_file("/dev/null", O_RDWR))
        for (int fd = 0; fd <= 2; ++fd) ::dup2(null->get(), fd);
    system::keep_only(socket, duties.held_fd);
    if (::chdir("/") != 0) ::_exit(1);
    system::forget_starter(system::Processors::all);
    Duty duty(duties, std::move(watch));
    duty.serve();
    duty.clean_up();
}

}  // namespace

Result<Supervisor> Supervisor::start(const SupervisorDuties& duties) {
    SQUENV_TRY_ASSIGN(auto watch, DeathWatch::create());
    SQUENV_TRY_ASSIGN(auto socket, system::fork_detached([&](int theirs) {
                          run_supervisor(theirs, duties, std::move(watch));
                      }));
    return Supervisor(std::move(socket), std::move(watch));
}

void Supervisor::watch_this_thread() {
    watch_.be_watched();
    system::send_byte(socket_.get(), static_cast<char>(Command::watch));
}

void Supervisor::mounted(std::uint32_t device_minor) {
    system::send_byte(socket_.get(), static_cast<char>(Command::mounted));
    for (unsigned shift = 0; shift < 32; shift += 8)
        system::send_byte(socket_.get(), static_cast<char>(device_minor >> shift));
}

Status Supervisor::ask_to_leave() {
    return ask(static_cast<char>(Command::leave));
}

Status Supervisor::ask_to_unmount(mount::UnmountMode mode) {
    return ask(
        static_cast<char>(mode == mount::UnmountMode::lazy ? Command::lazy : Command::unmount));
}

Status Supervisor::ask(char command) {
    if (!system::send_byte(socket_.get(), command)) return fail(Errc::io, kSupervisorIsGone);
    return {};
}

Status Supervisor::answer() {
    char answer = 0;
    if (!system::receive_byte(socket_.get(), answer)) return fail(Errc::io, kSupervisorIsGone);
    if (answer == kGone) return fail(Errc::not_found, "not mounted any more");
    if (answer != 0) return fail_errno(answer, "unmount");
    return {};
}

void Supervisor::dismiss() {
    system::send_byte(socket_.get(), static_cast<char>(Command::dismiss));
    socket_.reset();
}

}  // namespace squenv::daemon
