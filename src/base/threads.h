// SPDX-License-Identifier: MIT
// Makes threads where the system may refuse them, by a limit of the user, container or job, or for
// want of memory. The work is then done by fewer threads.
#pragma once

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace squenv {

/// Appends up to `count` threads that run copies of `body`, fewer when the system refuses one, and
/// returns how many it made. Each of them must be able to do all the work; work for a single thread
/// gets a count of 1. Callers do the work themselves, or do without it, when there is none.
template <class Body>
unsigned start_threads(std::vector<std::jthread>& threads, unsigned count,
                       const Body& body) noexcept {
    unsigned made = 0;
    try {
        threads.reserve(threads.size() + count);
        for (; made < count; ++made) threads.emplace_back(body);
    } catch (const std::exception&) {
        // std::system_error or std::bad_alloc. The next one would be refused as well.
    }
    return made;
}

/// Calls `work` on up to `count` threads at the same time, one of them the caller's, and returns
/// when all calls have returned. The calls share the work among themselves. What one of them throws
/// (std::bad_alloc, mostly) is thrown again once all have ended: `work` must not wait for a call
/// that threw.
template <class Work>
void run_on_threads(unsigned count, const Work& work) {
    std::mutex mutex;  // protects first
    std::exception_ptr first;
    const auto guarded = [&]() noexcept {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!first) first = std::current_exception();
        }
    };
    {
        std::vector<std::jthread> others;
        if (count > 1) start_threads(others, count - 1, guarded);
        guarded();
    }
    if (first) std::rethrow_exception(first);
}

}  // namespace squenv
