// SPDX-License-Identifier: MIT
#include "cli/init_process.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace squenv::cli {

namespace {

/// The longest time for a daemon to unmount after the command. A process that the command left
/// running would hold the container, so the wait has a limit.
constexpr timespec kLastWait{0, 50'000'000};
constexpr int kLastWaits = 100;

/// The value that shells report for the end of a process.
int exit_status(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Reaps the processes that have ended. True when `command` is one of them; `status` is then set.
bool reap_all(pid_t command, int& status) {
    bool has_ended = false;
    for (;;) {
        int one = 0;
        const pid_t ended = ::waitpid(-1, &one, WNOHANG);
        if (ended <= 0) return has_ended;
        if (ended != command) continue;
        status = one;
        has_ended = true;
    }
}

[[noreturn]] void look_after(pid_t command, const sigset_t& all) {
    int status = 0;
    for (bool has_ended = false; !has_ended;) {
        siginfo_t info{};
        const int signal = ::sigwaitinfo(&all, &info);
        if (signal < 0) continue;
        // The terminal sends its signals to the command itself.
        if (signal != SIGCHLD && info.si_code != SI_KERNEL) ::kill(command, signal);
        has_ended = reap_all(command, status);
    }
    // The daemons are children now, and end when they have unmounted.
    for (int i = 0; i < kLastWaits; ++i) {
        int ignored = 0;
        (void)reap_all(-1, ignored);
        if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) break;
        ::nanosleep(&kLastWait, nullptr);
    }
    ::_exit(exit_status(status));
}

}  // namespace

void stay_as_init() {
    if (::getpid() != 1) return;
    // With SIGCHLD ignored, as a caller may have left it, the end of a child is not reported.
    struct sigaction plain {};
    struct sigaction child_before {};
    plain.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &plain, &child_before);
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t command = ::fork();
    // Without room for a process, the command is process 1, as it is without this function.
    if (command > 0) look_after(command, all);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::sigaction(SIGCHLD, &child_before, nullptr);
}

}  // namespace squenv::cli
