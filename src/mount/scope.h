// SPDX-License-Identifier: MIT
// How long the processes around us may live together. A batch system kills everything in a job
// step when the step ends, a container engine everything in a container: a daemon started there
// must not serve anybody who lives longer.
#pragma once

#include <string>
#include <string_view>

namespace squenv::mount {

/// A text that is equal for processes that end together: what is left of the control group when
/// the parts below a unit of killing are cut off, and the job's numbers from the environment, for
/// batch systems that track processes without control groups.
[[nodiscard]] std::string lifetime_scope();

/// The control group part of it, from the text of /proc/PID/cgroup.
[[nodiscard]] std::string scope_of_cgroups(std::string_view proc_cgroup);

/// The environment says that this is a job step or a CI job, whose end kills every process of it:
/// "Slurm step 7.0", "CI job"; empty when it does not.
[[nodiscard]] std::string killing_job();

}  // namespace squenv::mount
