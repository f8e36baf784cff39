// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>

namespace squenv {

/// Runs `job(i)` for every i in [0, count) on up to `threads` threads and returns when all are
/// done. Indices are handed out in increasing order. `job` must not throw.
void parallel_for(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& job);

}  // namespace squenv
