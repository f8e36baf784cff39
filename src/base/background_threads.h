// SPDX-License-Identifier: MIT
// Threads for work that nobody waits for.
#pragma once

#include <sched.h>

#include <functional>
#include <thread>
#include <vector>

namespace squenv {

/// Appends `count` threads that run `body` on `processors`, wherever the calling thread may run,
/// and with a niceness of 5, so that threads somebody waits for go first. Returns when all of them
/// run: what follows may forbid making threads. They may be fewer, or none, where the system
/// refuses more: the number of those that run is returned.
[[nodiscard]] unsigned start_background_threads(std::vector<std::jthread>& threads, unsigned count,
                                                const cpu_set_t& processors,
                                                const std::function<void()>& body);

}  // namespace squenv
