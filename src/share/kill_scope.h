// SPDX-License-Identifier: MIT
// How long the processes around us may live together, and whether the kernel lets them use one
// mount. A batch system kills everything in a job step when the step ends, systemd everything in a
// unit, an engine everything in a container: a daemon started there must not serve a process that
// lives longer. What tells such groups apart stands in two tables of scope.cpp, control groups and
// variables, and for the users in squenv-run(1), "What ends together".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/environment.h"

namespace squenv::share {

/// The value of an environment variable, "" when it is not set.
using VariableLookup = std::function<std::string(const char*)>;

/// A text that is equal for processes that end together and may share a mount: control groups, cut
/// below the unit of killing; the namespaces of processes and control groups; the numbers of the
/// job in the environment, for systems without control groups; and all groups of the process. Grid
/// Engine marks its jobs by a group, and the kernel refuses a mount to other primary groups.
[[nodiscard]] std::string kill_scope();

/// The control group part of it, from the text of /proc/PID/cgroup: a line for each different one.
[[nodiscard]] std::string kill_scope_of_cgroups(std::string_view proc_cgroup);

/// The job part of it: "NAME=value" lines, "" outside of every job.
[[nodiscard]] std::string kill_scope_of_jobs(const VariableLookup& lookup);

/// The environment says that this is a job, whose end kills every process of it: "Slurm step 7.0",
/// "this CI job"; empty when it does not.
[[nodiscard]] std::string killing_job(const VariableLookup& lookup = environment_variable);

}  // namespace squenv::share
