// SPDX-License-Identifier: MIT
// Threads for background work, which no other thread waits for.
#pragma once

#include <sched.h>

#include <functional>
#include <thread>
#include <vector>

namespace squenv {

/// Appends `count` threads that run `body` on `processors`, wherever the calling thread may run.
/// Their niceness is 5, so that threads with waiting callers go first. Returns when all of them
/// run, because later steps may forbid making threads. Returns the number that run: fewer, or none,
/// where the system refuses more.
[[nodiscard]] unsigned start_background_threads(std::vector<std::jthread>& threads, unsigned count,
                                                const cpu_set_t& processors,
                                                const std::function<void()>& body);

}  // namespace squenv
