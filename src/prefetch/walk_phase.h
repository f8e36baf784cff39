// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace squenv::prefetch {

/// The tree walker is a process that lists a fresh mount ahead of its users. Prefetch knows it by
/// its phases.
enum class WalkPhase : std::uint8_t {
    ahead,   ///< it visits recorded names, or lists the tree
    paused,  ///< the recorded names are visited; the processor is left to others
    over,    ///< ended, or never there
};

/// When the walker is wanted again.
enum class WalkerCall : std::uint8_t {
    after_pause,  ///< as soon as it has paused: what was recorded is stored
    now,          ///< at once: users only list directories, and the walker's place is ahead of them
};

}  // namespace squenv::prefetch
