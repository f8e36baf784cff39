// SPDX-License-Identifier: MIT
#include "daemon/inbox.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace squenv::daemon {

Result<Inbox> Inbox::create() {
    sigset_t watched;
    ::sigemptyset(&watched);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&watched, signal);
    if (::sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return fail_errno(errno, "sigprocmask");
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd signals(::signalfd(-1, &watched, SFD_CLOEXEC));
    int ends[2];
    if (!signals || ::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "signalfd");
    return Inbox(std::move(signals), UniqueFd(ends[0]), UniqueFd(ends[1]));
}

void Inbox::post(Event event) const {
    const char byte = static_cast<char>(event);
    (void)!::write(writer_.get(), &byte, 1);
}

std::optional<int> Inbox::take_signal() {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return {};
    return static_cast<int>(info.ssi_signo);
}

Event Inbox::take_event() {
    char byte = 0;
    if (::read(reader_.get(), &byte, 1) != 1) return Event::unmounted;
    return static_cast<Event>(byte);
}

}  // namespace squenv::daemon
