// SPDX-License-Identifier: MIT
// How many threads the passes use.
#pragma once

#include <algorithm>

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
    return std::max({12 * kMiB,
                     4 * std::uint64_t{options.block_size} * (compressor_threads(options) + 2),
                     2 * kMiB * (reader_threads(options) + 2)});
}

}  // namespace squenv::pack
