// SPDX-License-Identifier: MIT
#include "daemon/event_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/log.h"
#include "daemon/sandbox.h"

namespace squenv::daemon {

namespace {

/// How long a mount that cannot be removed is left alone before the next attempt: a process that
/// has just ended still holds it for some milliseconds, one that goes on may hold it for hours.
constexpr std::chrono::milliseconds kFirstRetry{2};
constexpr std::chrono::milliseconds kLastRetry{1000};
/// The same when it cannot be removed for another reason than users: a user may mend that.
constexpr std::chrono::milliseconds kFailedRetry{60'000};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
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

void EventLoop::on_signal(Served& served) {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
    if (served.lifetime != Lifetime::until_unmounted) {
        log::info("signal {} is not for a mount that ends with its users", info.ssi_signo);
        return;
    }
    if (has_signal_ || is_unmounting_) {
        log::warning("ended by a second signal; open files of the mount are lost");
        log::stop();
        std::_Exit(1);
    }
    auto status = served.supervisor.unmount(mount::UnmountMode::normal);
    if (!status && status.error().sys_errno == EBUSY) {
        log::info("the mount is busy: detached, and served until its last user is done");
        status = served.supervisor.unmount(mount::UnmountMode::lazy);
    }
    is_unmounting_ = status || status.error().code == Errc::not_found;
    // A living mount harms less than a dead one. A second signal is obeyed all the same.
    if (!is_unmounting_)
        log::error("cannot unmount: {}; the mount is served on", status.error().message());
    has_signal_ = true;
}

void EventLoop::end_walk(Served& served) {
    if (!served.walker) return;
    log::debug("warming ended after {:.1f} ms, {} requests", milliseconds_since(walk_started_),
               served.session.counters().total());
    served.walker->stop();
    served.walker.reset();
    served.session.on_walk(prefetch::WalkPhase::over);
}

/// The walker has done what was needed first. It goes on when nobody waits for the processor.
void EventLoop::on_walker(Served& served) {
    if (!served.walker || !served.walker->has_paused()) {
        end_walk(served);
        return;
    }
    served.session.on_walk(prefetch::WalkPhase::paused);
    is_walker_paused_ = true;
    log::debug("warming paused after {:.1f} ms, {} requests",
               milliseconds_since(walk_started_), served.session.counters().total());
    resume_walker(served);
}

void EventLoop::resume_walker(Served& served) {
    if (!served.walker || !is_quiet_ || !is_walker_paused_) return;
    is_walker_paused_ = false;
    served.session.on_walk(prefetch::WalkPhase::ahead);
    served.walker->begin();
}

void EventLoop::on_event(Served& served) {
    char byte = 0;
    if (::read(reader_.get(), &byte, 1) != 1) byte = static_cast<char>(Event::unmounted);
    switch (static_cast<Event>(byte)) {
        case Event::unmounted:
            end_walk(served);
            is_over_ = true;
            break;
        case Event::quiet:
            is_quiet_ = true;
            resume_walker(served);
            break;
        case Event::listers:
            is_quiet_ = true;
            if (is_walker_paused_)
                resume_walker(served);
            else if (served.walker)
                served.walker->begin();  // ends what it does before the pause, and that
            break;
        case Event::ready:
            walk_started_ = std::chrono::steady_clock::now();
            if (served.walker) served.walker->begin();
            restrict_system_calls();
            is_ready_ = true;
            break;
    }
}

/// The last user is gone. Processes it left behind may still use the mount: then it stays. So does
/// a mount that cannot be removed: a living one harms less than a dead one, and the next run joins.
void EventLoop::leave(Served& served) {
    end_walk(served);
    if (served.is_in_userns) {
        is_unmounting_ = true;
        return;
    }
    const auto status = served.supervisor.leave();
    // Detached already: served until it is closed everywhere, but no new user finds it.
    const bool is_detached = !status && status.error().code == Errc::not_found;
    is_unmounting_ = status || is_detached;
    if (is_unmounting_) return;
    if (status.error().sys_errno == EBUSY) {
        retry_ = retry_.count() == 0 ? kFirstRetry : std::min(2 * retry_, kLastRetry);
        return;
    }
    if (retry_ != kFailedRetry)
        log::error("cannot unmount: {}; the mount is served on", status.error().message());
    retry_ = kFailedRetry;
}

int EventLoop::wait_ms(const Served& served) const {
    if (is_unmounting_) return -1;
    if (served.lifetime == Lifetime::while_used)
        return is_ready_ && served.members->is_empty() ? static_cast<int>(retry_.count()) : -1;
    const auto timeout = static_cast<double>(served.idle_timeout.count());
    if (timeout == 0) return -1;
    const double left = timeout - served.session.idle_seconds();
    return left <= 0 ? static_cast<int>(kLastRetry.count())
                     : static_cast<int>(std::min(left * 1000.0 + 1.0, 3'600'000.0));
}

/// Nobody is admitted before the mount answers, nor when it is gone: who comes then waits for the
/// listener to close, and begins anew.
bool EventLoop::has_door(const Served& served) const {
    return served.members != nullptr && is_ready_ && !is_unmounting_ && !is_over_;
}

void EventLoop::run(Served& served) {
    while (!is_over_) {
        if (is_unmounting_ && served.members != nullptr) served.members->close();
        pollfd waiting[4] = {{signals_.get(), POLLIN, 0},
                             {reader_.get(), POLLIN, 0},
                             {served.walker ? served.walker->ended_fd() : -1, POLLIN, 0},
                             {has_door(served) ? served.members->ready_fd() : -1, POLLIN, 0}};
        const int count = ::poll(waiting, 4, wait_ms(served));
        if (count < 0 && errno != EINTR) return;
        if (count > 0 && waiting[0].revents != 0) {
            if (served.lifetime == Lifetime::until_unmounted) end_walk(served);
            on_signal(served);
        }
        if (count > 0 && waiting[1].revents != 0) on_event(served);
        if (count > 0 && waiting[2].revents != 0) on_walker(served);
        if (has_door(served)) served.members->serve();
        if (is_over_ || is_unmounting_) continue;
        if (served.members != nullptr && !served.members->is_empty()) retry_ = {};
        // Between two attempts, events do not count.
        const bool is_time = count == 0 || retry_.count() == 0;
        if (served.lifetime == Lifetime::while_used && is_ready_ && is_time &&
            served.members->is_empty())
            leave(served);
        else if (count == 0 && served.idle_timeout.count() != 0 &&
                 served.lifetime == Lifetime::until_unmounted &&
                 (served.members == nullptr || served.members->is_empty()) &&
                 served.session.idle_seconds() >=
                     static_cast<double>(served.idle_timeout.count()) &&
                 served.supervisor.unmount(mount::UnmountMode::normal))
            is_unmounting_ = true;
    }
}

}  // namespace squenv::daemon
