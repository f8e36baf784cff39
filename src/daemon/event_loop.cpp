// SPDX-License-Identifier: MIT
#include "daemon/event_loop.h"

#include <poll.h>

#include <cerrno>
#include <vector>

namespace squenv::daemon {

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
