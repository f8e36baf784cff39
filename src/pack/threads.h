// SPDX-License-Identifier: MIT
// How many threads the passes use, and running one function on all of them.
#pragma once

#include <algorithm>
#include <thread>
#include <vector>

#include "base/cpus.h"
#include "squenv/pack.h"

namespace squenv::pack {

/// Threads that compress.
[[nodiscard]] inline unsigned compressor_threads(const Options& options) {
    return options.jobs != 0 ? options.jobs : available_cpus();
}

/// Threads that look at and read files. They wait for the storage most of the time.
[[nodiscard]] inline unsigned reader_threads(const Options& options) {
    return options.readers != 0 ? options.readers : std::clamp(available_cpus(), 2U, 16U);
}

/// Bytes for file data under way: half for reading ahead, a quarter each for compressed blocks and
/// fragments. Reading further ahead than the threads need gains nothing.
[[nodiscard]] inline std::uint64_t memory_of(const Options& options) {
    constexpr std::uint64_t kMiB = 1U << 20;
    if (options.memory_bytes != 0) return options.memory_bytes;
    return std::max({12 * kMiB, 4 * std::uint64_t{options.block_size} *
                                    (compressor_threads(options) + 2),
                     2 * kMiB * (reader_threads(options) + 2)});
}

/// Calls `work(i)` for i in [0, count) at the same time and returns when all have returned.
template <class Work>
void run_on_threads(unsigned count, const Work& work) {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < count; ++i) helpers.emplace_back([&work, i] { work(i); });
    work(0);
}

}  // namespace squenv::pack
