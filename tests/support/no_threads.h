// SPDX-License-Identifier: MIT
// A process that may make no thread, for death tests.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

namespace squenv::test {

/// Runs `is_right` where the system refuses every thread, and ends the process: with 0 when it
/// returned true. Call it inside EXPECT_EXIT. No leak checker runs, because it needs a thread.
template <class Test>
[[noreturn]] void run_without_threads(const Test& is_right) {
    constexpr uid_t kNobody = 65534;
    const rlimit none{0, 0};
    // No limit of this kind holds for root.
    const bool is_limited =
        (::geteuid() != 0 || ::setuid(kNobody) == 0) && ::setrlimit(RLIMIT_NPROC, &none) == 0;
    ::_exit(is_limited && is_right() ? 0 : 1);
}

}  // namespace squenv::test
