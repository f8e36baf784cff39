// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <vector>

#include "appendix/appendix.h"
#include "prefetch/walk_phase.h"

namespace squenv::prefetch {

/// How a mount prefetches.
struct PrefetchOptions {
    /// Decoded bytes go into the page cache before they are asked for. Otherwise recorded blocks
    /// are decoded ahead, and stay in the block cache.
    bool stores_pages = true;
    /// What a program needs early.
    std::vector<appendix::HotItem> recorded{};
    /// A tree walker is about to begin.
    bool has_walker = false;
    /// Called when the walker is wanted again. On any thread, perhaps several times.
    std::function<void(WalkerCall)> call_walker{};
};

}  // namespace squenv::prefetch
