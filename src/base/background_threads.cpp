// SPDX-License-Identifier: MIT
#include "base/background_threads.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <latch>

namespace squenv {

namespace {
constexpr int kNiceness = 5;
}

void start_background_threads(std::vector<std::jthread>& threads, unsigned count,
                              const cpu_set_t& processors, const std::function<void()>& body) {
    std::latch is_running(count);
    for (unsigned i = 0; i < count; ++i)
        threads.emplace_back([&is_running, processors, body] {
            ::sched_setaffinity(0, sizeof processors, &processors);
            // Of this thread alone, though setpriority(2) speaks of processes.
            ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNiceness);
            is_running.count_down();
            body();
        });
    is_running.wait();
}

}  // namespace squenv
