// SPDX-License-Identifier: MIT
#pragma once

namespace squenv {

/// How many processors this process may use: the affinity mask, limited by the CPU quota of its
/// cgroup (v2), at least 1. Not the number the machine has.
[[nodiscard]] unsigned available_cpus();

}  // namespace squenv
