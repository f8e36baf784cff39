// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>

namespace squenv::test {

/// Returns when the kernel gives files a later time than before: it counts in ticks of some
/// milliseconds, and two changes within one cannot be told apart.
inline void let_time_pass() {
    const auto now = [] {
        timespec time{};
        ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
        return time;
    };
    const timespec start = now();
    for (timespec time = start; time.tv_sec == start.tv_sec && time.tv_nsec == start.tv_nsec;)
        time = now();
}

}  // namespace squenv::test
