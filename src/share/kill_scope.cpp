// SPDX-License-Identifier: MIT
#include "share/kill_scope.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "base/file_io.h"

namespace squenv::share {

namespace {

/// The control groups that end as a whole, by one part of their path. What lies below such a part
/// belongs to it. Of several parts the innermost counts, because it ends first.
struct Unit {
    std::string_view prefix;
    std::string_view suffix;
    std::string_view parent;  ///< the part in front of it, when that decides
};
constexpr Unit kUnits[] = {
    {"", ".service", ""},  // systemd, of the system or of a user
    {"", ".scope", ""},    // the same: systemd-run --scope, terminals, screen, containers
    {"step_", "", ""},     // Slurm: job_3/step_0/user/task_1
    {"condor_", "", ""},   // HTCondor: condor_var_lib_condor_execute_slot1_1@node/control
    {"", "", "jobid"},     // PBS: pbs_jobs.service/jobid/12.server
    {"", "", "jobs"},      // the same with version 2 of control groups
};

/// The variables of batch and CI systems that run jobs as plain processes. Some track the processes
/// of a job without control groups, by these very variables or by groups.
struct JobSystem {
    const char* name;                         ///< with its unit of killing; null: no job is killed
    std::array<const char*, 3> marks;         ///< one is set in every job; {}: any of the next
    std::array<const char*, 4> variables;     ///< tell jobs apart; elsewhere they may mean others
    std::array<const char*, 2> number_parts;  ///< the parts of the number of a job
};
constexpr JobSystem kJobSystems[] = {
    // Several nodes can be on one machine, each with a slurmd that kills.
    {"Slurm step",
     {"SLURM_STEP_ID"},
     {"SLURM_JOB_ID", "SLURM_STEP_ID", "SLURMD_NODENAME"},
     {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"Slurm job", {"SLURM_TASK_PID"}, {"SLURM_JOB_ID", "SLURMD_NODENAME"}, {"SLURM_JOB_ID"}},
    // A shell of salloc outlives its job, on another node.
    {nullptr, {"SLURM_JOB_ID"}, {"SLURM_JOB_ID"}, {}},
    // PALS and ALPS start applications in jobs of PBS, as srun starts steps.
    {"Cray application", {}, {"PALS_APID", "ALPS_APP_ID"}, {}},
    // JOB_ID alone is a name that scripts define for themselves; SGE_TASK_ID is at least
    // "undefined".
    {"Grid Engine job", {"SGE_TASK_ID"}, {"JOB_ID", "SGE_TASK_ID"}, {"JOB_ID"}},
    {"OAR job", {}, {"OAR_JOB_ID"}, {"OAR_JOB_ID"}},
    {"HTCondor job", {}, {"_CONDOR_JOB_AD", "_CONDOR_SCRATCH_DIR", "_CONDOR_SLOT"}, {}},
    {"PBS job", {}, {"PBS_JOBID", "PBS_ARRAY_INDEX", "PBS_ARRAYID"}, {"PBS_JOBID"}},
    {"LSF job", {"LSB_JOBID"}, {"LSB_JOBID", "LSB_JOBINDEX"}, {"LSB_JOBID"}},
    // Job numbers are unique within one instance of Flux, which its address names.
    {"Flux job", {"FLUX_JOB_ID"}, {"FLUX_JOB_ID", "FLUX_URI"}, {"FLUX_JOB_ID"}},
    {"LoadLeveler step", {}, {"LOADL_STEP_ID"}, {"LOADL_STEP_ID"}},
    {"Fujitsu TCS job", {}, {"PJM_JOBID", "PJM_SUBJOBID"}, {"PJM_JOBID"}},
    {"Cobalt job", {}, {"COBALT_JOBID"}, {"COBALT_JOBID"}},
    // Jenkins kills by these cookies: one for a node of a pipeline, one for a step that is aborted
    // while others go on. A BUILD_ID of another value keeps a process alive.
    {"Jenkins build",
     {"JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "JENKINS_URL"},
     {"BUILD_TAG", "BUILD_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE"},
     {"BUILD_TAG"}},
    {"GitLab CI job", {}, {"CI_JOB_ID"}, {"CI_JOB_ID"}},
    {"GitHub Actions job",
     {},
     {"RUNNER_TRACKING_ID", "GITHUB_RUN_ID", "GITHUB_JOB"},
     {"GITHUB_JOB"}},
    {"Buildkite job", {}, {"BUILDKITE_JOB_ID"}, {"BUILDKITE_JOB_ID"}},
    {"TeamCity build",
     {"TEAMCITY_VERSION"},
     {"BUILD_NUMBER", "TEAMCITY_PROJECT_NAME", "TEAMCITY_BUILDCONF_NAME",
      "TEAMCITY_BUILD_PROPERTIES_FILE"},
     {"BUILD_NUMBER"}},
    {"Azure Pipelines job", {}, {"SYSTEM_JOBID", "VSTS_PROCESS_LOOKUP_ID"}, {}},
    {"Bamboo build", {}, {"bamboo_buildResultKey"}, {"bamboo_buildResultKey"}},
    {"CircleCI job", {}, {"CIRCLE_WORKFLOW_JOB_ID", "CIRCLE_BUILD_NUM"}, {"CIRCLE_BUILD_NUM"}},
};

/// Docker, containerd, CRI-O and Podman without systemd: the 64 digits of a container, with or
/// without a word in front.
bool is_container(std::string_view part) {
    constexpr std::size_t kDigits = 64;
    return part.size() >= kDigits &&
           part.substr(part.size() - kDigits).find_first_not_of("0123456789abcdef") ==
               std::string_view::npos;
}

bool is_unit(std::string_view part, std::string_view parent) {
    for (const auto& unit : kUnits)
        if (part.starts_with(unit.prefix) && part.ends_with(unit.suffix) &&
            (unit.parent.empty() || unit.parent == parent))
            return true;
    return is_container(part);
}

/// A login session: by default nothing is killed when it ends. The setting KillUserProcesses=yes of
/// a machine cannot be read in less time than a run takes.
bool is_login(std::string_view part, std::string_view parent) {
    return part.starts_with("session-") && part.ends_with(".scope") &&
           parent.starts_with("user-") && parent.ends_with(".slice");
}

/// `path` up to its innermost unit; all logins of a user are the user's slice. Without a unit, as
/// where an engine uses control groups by itself, the whole path.
std::string cut_below_unit(std::string_view path) {
    std::size_t cut = path.size();
    std::string_view parent;
    for (std::size_t start = 1; start < path.size();) {
        const std::size_t stop = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, stop - start);
        if (is_login(part, parent))
            cut = start - 1;
        else if (is_unit(part, parent))
            cut = stop;
        parent = part;
        start = stop + 1;
    }
    return std::string(path.substr(0, cut));
}

bool is_inside(const JobSystem& system, const VariableLookup& lookup) {
    const auto is_set = [&](const char* name) { return name != nullptr && !lookup(name).empty(); };
    if (system.marks[0] != nullptr)
        return std::any_of(system.marks.begin(), system.marks.end(), is_set);
    return std::any_of(system.variables.begin(), system.variables.end(), is_set);
}

/// The number of a namespace of this process; 0 when it is not known.
std::uint64_t namespace_number(const char* name) {
    struct stat info {};
    return ::stat(fmt::format("/proc/self/ns/{}", name).c_str(), &info) == 0 ? info.st_ino : 0;
}

/// All groups are listed, because nothing shows which one a batch system added.
std::string scope_of_groups() {
    gid_t real = 0;
    gid_t effective = 0;
    gid_t saved = 0;
    (void)!::getresgid(&real, &effective, &saved);
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
    const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
    groups.resize(static_cast<std::size_t>(std::max(0, count)));
    std::sort(groups.begin(), groups.end());
    std::string text = fmt::format("groups {} {} {}:", real, effective, saved);
    for (const gid_t group : groups) text += fmt::format(" {}", group);
    return text;
}

}  // namespace

std::string kill_scope_of_cgroups(std::string_view text) {
    // Version 2 has one line, "0::/path". Version 1 has one per controller, and a system may kill
    // by any of them: Slurm by freezer, OAR by cpuset, systemd by name=systemd.
    std::set<std::string> scopes;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const auto first = line.find(':');
        const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos || second + 1 == line.size()) continue;
        scopes.insert(cut_below_unit(line.substr(second + 1)));
    }
    // A controller that is not used has the path "/", which distinguishes nothing.
    if (scopes.size() > 1) scopes.erase("/");
    std::string joined;
    for (const auto& scope : scopes) joined += (joined.empty() ? "" : "\n") + scope;
    return joined;
}

std::string kill_scope_of_jobs(const VariableLookup& lookup) {
    std::string text;
    for (const auto& system : kJobSystems) {
        if (!is_inside(system, lookup)) continue;
        for (const char* name : system.variables)
            if (name != nullptr) text += fmt::format("{}={}\n", name, lookup(name));
    }
    return text;
}

std::string kill_scope() {
    const std::string text = file_content("/proc/self/cgroup").value_or("");
    // Paths of control groups are relative to their namespace. A namespace of processes ends with
    // its first process.
    return fmt::format("{}\nnamespaces {} {}\n{}{}", kill_scope_of_cgroups(text),
                       namespace_number("cgroup"), namespace_number("pid"),
                       kill_scope_of_jobs(environment_variable), scope_of_groups());
}

std::string killing_job(const VariableLookup& lookup) {
    for (const auto& system : kJobSystems) {
        if (system.name == nullptr || !is_inside(system, lookup)) continue;
        std::string number;
        for (const char* name : system.number_parts)
            if (name != nullptr && !lookup(name).empty())
                number += (number.empty() ? "" : ".") + lookup(name);
        return number.empty() ? fmt::format("this {}", system.name)
                              : fmt::format("{} {}", system.name, number);
    }
    for (const char* name : {"GITHUB_ACTIONS", "GITLAB_CI", "CI"})
        if (const auto value = lookup(name); value == "true" || value == "1") return "this CI job";
    return {};
}

}  // namespace squenv::share
