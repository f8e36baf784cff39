// SPDX-License-Identifier: MIT
#include "cli/recording_notice.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/remote_error.h"
#include "base/text.h"
#include "share/members.h"
#include "system/child_process.h"
#include "system/starter.h"

namespace squenv::cli {

namespace {

/// A program that reads the standard error through a pipe waits for its end, which must not be that
/// of a mount which is still used.
constexpr int kPatienceMs = 5000;

void say(const std::string& text) {
    (void)write_all(STDERR_FILENO, as_bytes("squenv: " + printable_lines(text) + '\n'));
}

/// Whether `fd` becomes readable, or is closed elsewhere, within that time; -1 is for ever.
bool is_readable(pollfd* fds, nfds_t count, int timeout_ms) {
    int ready = 0;
    do {
        ready = ::poll(fds, count, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready != 0;
}

/// Whether the daemon had its say, before the command ended or soon after.
bool await_daemon(int socket, int command) {
    pollfd watched[2] = {{socket, POLLIN, 0}, {command, POLLIN, 0}};
    is_readable(watched, 2, -1);
    return watched[0].revents != 0 || is_readable(watched, 1, kPatienceMs);
}

[[noreturn]] void notify(int socket, int command, const std::string& file, bool is_quiet) {
    ::setsid();
    ::prctl(PR_SET_NAME, "squenv-notice");
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
    if (const auto null = open_file("/dev/null", O_RDWR))
        for (int fd = 0; fd <= 1; ++fd) ::dup2(null->get(), fd);
    system::keep_only(socket, command);
    if (::chdir("/") != 0) ::_exit(1);
    system::forget_starter(system::Processors::all);
    if (await_daemon(3, command >= 0 ? 4 : -1)) {
        const auto text = read_to_end(3);
        if (const auto error = decode_error(text ? *text : std::string())) say(error->message());
    } else if (!is_quiet) {
        say(file +
            ": the recording is written when the last process that uses the mount has ended; a "
            "failure is then in the system log");
    }
    ::_exit(0);
}

}  // namespace

Result<UniqueFd> start_recording_notice(const std::string& file, bool is_quiet) {
    const UniqueFd command = share::own_pidfd();
    return system::fork_detached(
        [&](int socket) { notify(socket, command.get(), file, is_quiet); });
}

}  // namespace squenv::cli
