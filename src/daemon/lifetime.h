// SPDX-License-Identifier: MIT
#pragma once

namespace squenv::daemon {

/// How long a daemon serves.
enum class Lifetime {
    until_unmounted,  ///< whoever unmounts ends it
    while_used,       ///< until the last of its users is gone; signals do not end it
    with_namespace,   ///< until the last process of the namespace that it is mounted in is gone
};

}  // namespace squenv::daemon
