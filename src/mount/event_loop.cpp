// SPDX-License-Identifier: MIT
#include "mount/event_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/log.h"
#include "mount/sandbox.h"

namespace squenv::mount {

namespace {

/// How long a mount that is idle but busy (open files) is left alone before it is tried again.
constexpr std::chrono::seconds kBusyRetry{1};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

/// Milliseconds to wait for poll(2) until the idle timeout may be over; -1 is for ever.
int idle_wait_ms(const fuse::Session& session, std::chrono::seconds timeout, bool is_unmounting) {
    if (timeout.count() == 0 || is_unmounting) return -1;
    const double left = static_cast<double>(timeout.count()) - session.idle_seconds();
    if (left <= 0) return static_cast<int>(std::chrono::milliseconds(kBusyRetry).count());
    return static_cast<int>(std::min(left * 1000.0 + 1.0, 3'600'000.0));
}

}  // namespace

Result<EventLoop> EventLoop::create() {
    sigset_t watched;
    ::sigemptyset(&watched);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&watched, signal);
    if (::sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return fail_errno(errno, "sigprocmask");
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd signals(::signalfd(-1, &watched, SFD_CLOEXEC));
    int ends[2];
    if (!signals || ::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "signalfd");
    return EventLoop(std::move(signals), UniqueFd(ends[0]), UniqueFd(ends[1]));
}

void EventLoop::post(Event event) const {
    const char byte = static_cast<char>(event);
    (void)!::write(writer_.get(), &byte, 1);
}

void EventLoop::on_signal(Keeper& keeper) {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
    if (is_unmounting_) {
        log::warning("ended by a second signal; open files of the mount are lost");
        log::stop();
        std::_Exit(1);
    }
    is_unmounting_ = true;
    auto status = keeper.unmount(UnmountMode::normal);
    if (!status && status.error().sys_errno == EBUSY) {
        log::info("the mount is busy: detached, and served until its last user is done");
        status = keeper.unmount(UnmountMode::lazy);
    }
    if (!status) {
        log::error("cannot unmount: {}", status.error().message());
        log::stop();
        std::_Exit(1);  // the kernel ends the connection, the keeper detaches the mount
    }
}

void EventLoop::run(fuse::Session& session, Keeper& keeper, std::optional<Warmer>& warmer,
                    std::chrono::seconds idle_timeout) {
    auto warming_started = std::chrono::steady_clock::now();
    const auto end_warming = [&] {
        if (!warmer) return;
        log::debug("warming ended after {:.1f} ms, {} requests",
                   milliseconds_since(warming_started), session.counters().total());
        warmer->stop();
        warmer.reset();
        session.end_warming();
    };
    bool is_quiet = false;
    bool is_paused = false;
    const auto go_on = [&] {
        if (!warmer || !is_quiet || !is_paused) return;
        is_paused = false;
        session.resume_warming();
        warmer->begin();
    };
    for (;;) {
        pollfd waiting[3] = {{signals_.get(), POLLIN, 0},
                             {reader_.get(), POLLIN, 0},
                             {warmer ? warmer->ended_fd() : -1, POLLIN, 0}};
        const int count = ::poll(waiting, 3, idle_wait_ms(session, idle_timeout, is_unmounting_));
        if (count < 0 && errno != EINTR) return;
        if (count > 0 && waiting[0].revents != 0) {
            end_warming();
            on_signal(keeper);
        }
        if (count > 0 && waiting[1].revents != 0) {
            char byte = 0;
            if (::read(reader_.get(), &byte, 1) != 1) return;
            if (static_cast<Event>(byte) == Event::unmounted) return end_warming();
            if (static_cast<Event>(byte) == Event::quiet) {
                is_quiet = true;
                go_on();
                continue;
            }
            if (static_cast<Event>(byte) == Event::listers) {
                is_quiet = true;
                if (is_paused)
                    go_on();
                else if (warmer)
                    warmer->begin();  // ends what it does before the pause, and that
                continue;
            }
            warming_started = std::chrono::steady_clock::now();
            if (warmer) warmer->begin();
            restrict_system_calls();
        }
        if (count > 0 && waiting[2].revents != 0) {
            if (!warmer || !warmer->has_paused()) {
                end_warming();
            } else {
                session.pause_warming();
                is_paused = true;
                log::debug("warming paused after {:.1f} ms, {} requests",
                           milliseconds_since(warming_started), session.counters().total());
                go_on();
            }
        }
        if (count == 0 && session.idle_seconds() >= static_cast<double>(idle_timeout.count()) &&
            keeper.unmount(UnmountMode::normal))
            is_unmounting_ = true;
    }
}

}  // namespace squenv::mount
