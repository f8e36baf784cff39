// SPDX-License-Identifier: MIT
// Which processes live and end together, and whether the kernel lets them use one mount. A batch
// system kills everything in a job step when the step ends, systemd everything in a unit, an engine
// everything in a container. A daemon started there must not serve a process that lives longer. Two
// tables of kill_scope.cpp, control groups and variables, tell such groups apart. squenv-run(1)
// describes them in "What ends together".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/environment.h"

namespace squenv::share {

/// The value of an environment variable, "" when it is not set.
using VariableLookup = std::function<std::string(const char*)>;

/// A text that is equal for processes that end together and may share a mount. It holds the control
/// groups, cut below the unit of killing, and the namespaces of processes and control groups. For
/// systems without control groups it holds the job numbers of the environment, and all groups of
/// the process. Grid Engine marks its jobs by a group, and the kernel refuses a mount to other
/// primary groups.
[[nodiscard]] std::string kill_scope();

/// Its control group part, from the text of /proc/PID/cgroup: a line for each different group.
[[nodiscard]] std::string kill_scope_of_cgroups(std::string_view proc_cgroup);

/// Its job part: "NAME=value" lines, "" outside of every job.
[[nodiscard]] std::string kill_scope_of_jobs(const VariableLookup& lookup);

/// The name of the job whose end kills this process, by the environment: "Slurm step 7.0", "this CI
/// job". Empty when there is none.
[[nodiscard]] std::string killing_job(const VariableLookup& lookup = environment_variable);

}  // namespace squenv::share
