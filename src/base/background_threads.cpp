// SPDX-License-Identifier: MIT
#include "base/background_threads.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "base/threads.h"

namespace squenv {

namespace {
constexpr int kNiceness = 5;
}

unsigned start_background_threads(std::vector<std::jthread>& threads, unsigned count,
                                  const cpu_set_t& processors, const std::function<void()>& body) {
    // No latch: the number of threads to wait for is known only after they are made.
    std::mutex mutex;  // protects running
    std::condition_variable changed;
    unsigned running = 0;
    const unsigned made = start_threads(threads, count, [&, processors, body] {
        ::sched_setaffinity(0, sizeof processors, &processors);
        // Affects this thread alone, though setpriority(2) speaks of processes.
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNiceness);
        {
            const std::lock_guard lock(mutex);
            ++running;
            changed.notify_one();
        }
        body();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return running == made; });
    return made;
}

}  // namespace squenv
