// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>

namespace squenv {

/// How many processors this process may use: the affinity mask, limited by the CPU quota of its
/// cgroup (v2), at least 1. Not the number the machine has.
[[nodiscard]] unsigned available_cpus();

/// The affinity mask of the calling thread.
[[nodiscard]] cpu_set_t allowed_processors();

}  // namespace squenv
