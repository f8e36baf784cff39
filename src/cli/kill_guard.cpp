// SPDX-License-Identifier: MIT
#include "cli/kill_guard.h"

#include <time.h>
#include <unistd.h>

#include <csignal>

#include "system/child_process.h"
#include "system/mount_table.h"

namespace squenv::cli {

namespace {

constexpr char kDismissed = 'd';
/// `squenv mount` may still be at work when the process that started it is killed.
constexpr int kLooks = 60;
constexpr timespec kPause{0, 50'000'000};

bool is_mounted(const LeftBehind& left) {
    const auto entry = system::find_mount(left.mountpoint);
    return entry && *entry && (*entry)->is_squenv() && (*entry)->source == left.image;
}

/// Runs in the guard. Only pipes and locks of the killed process would notice it, so it has none.
[[noreturn]] void guard(int socket, const LeftBehind& left) {
    ::setsid();
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
    system::keep_only(socket, -1);
    for (int fd = 0; fd <= 2; ++fd) ::close(fd);
    guard_standard_fds();
    (void)!::chdir("/");
    char byte = 0;
    if (system::receive_byte(3, byte) && byte == kDismissed) ::_exit(0);
    for (int look = 0; look < kLooks && !is_mounted(left); ++look) ::nanosleep(&kPause, nullptr);
    for (const auto& file : left.files) ::unlink(file.c_str());
    if (is_mounted(left))
        ::execl(left.program.c_str(), "squenv", "umount", "-q", "--lazy", "--",
                left.mountpoint.c_str(), nullptr);
    ::_exit(0);
}

}  // namespace

Result<KillGuard> KillGuard::start(const LeftBehind& left) {
    SQUENV_TRY_ASSIGN(auto socket,
                      system::fork_detached([&left](int socket) { guard(socket, left); }));
    return KillGuard(std::move(socket));
}

KillGuard::~KillGuard() {
    if (socket_) system::send_byte(socket_.get(), kDismissed);
}

}  // namespace squenv::cli
