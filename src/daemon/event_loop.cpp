// SPDX-License-Identifier: MIT
#include "daemon/event_loop.h"

#include <poll.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <vector>

namespace squenv::daemon {

UniqueFd make_timer(std::chrono::milliseconds delay) {
    UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    const auto nanoseconds = std::chrono::nanoseconds(delay).count();
    const itimerspec when{{0, 0}, {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000}};
    if (!timer || ::timerfd_settime(timer.get(), 0, &when, nullptr) != 0) return {};
    return timer;
}

Result<bool> wait_for_events(std::span<const EventSource> sources, Timeout timeout) {
    std::vector<pollfd> waiting;
    for (const EventSource& source : sources) waiting.push_back({source.descriptor, POLLIN, 0});
    const int wait_ms = timeout ? static_cast<int>(timeout->count()) : -1;
    const int count = ::poll(waiting.data(), waiting.size(), wait_ms);
    if (count < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (count <= 0) return count == 0;
    for (std::size_t i = 0; i < waiting.size(); ++i)
        if (waiting[i].revents != 0) sources[i].handle();
    return false;
}

}  // namespace squenv::daemon
