// SPDX-License-Identifier: MIT
#include "daemon/inbox.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace squenv::daemon {

Result<Signals> Signals::create() {
    sigset_t watched;
    ::sigemptyset(&watched);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCONT}) ::sigaddset(&watched, signal);
    if (::sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return fail_errno(errno, "sigprocmask");
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd signals(::signalfd(-1, &watched, SFD_CLOEXEC));
    if (!signals) return fail_errno(errno, "signalfd");
    return Signals(std::move(signals));
}

std::optional<int> Signals::take() {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return {};
    return static_cast<int>(info.ssi_signo);
}

Result<Inbox> Inbox::create() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    return Inbox(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

void Inbox::post(Event event) const {
    const char byte = static_cast<char>(event);
    (void)!::write(writer_.get(), &byte, 1);
}

Event Inbox::take() {
    char byte = 0;
    if (::read(reader_.get(), &byte, 1) != 1) return Event::unmounted;
    return static_cast<Event>(byte);
}

}  // namespace squenv::daemon
