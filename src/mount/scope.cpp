// SPDX-License-Identifier: MIT
#include "mount/scope.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/environment.h"

namespace squenv::mount {

namespace {

/// Job and step, as the batch systems name them in the environment of every task.
constexpr const char* kJobVariables[] = {"SLURM_JOB_ID", "SLURM_STEP_ID", "PBS_JOBID",
                                         "LSB_JOBID", "FLUX_JOB_ID"};

/// Slurm kills a step ("step_0"), whatever is below it. Of a login, nothing is killed when one of
/// its sessions ends, so all that is below the user's slice is one.
std::string cut_below_unit(std::string_view path) {
    for (const std::string_view unit : {"/step_", "/user-"}) {
        const auto found = path.find(unit);
        if (found == std::string_view::npos) continue;
        return std::string(path.substr(0, path.find('/', found + 1)));
    }
    return std::string(path);
}

}  // namespace

std::string scope_of_cgroups(std::string_view text) {
    // Version 2 has one line, "0::/path"; version 1 one per controller. A step named in any of
    // them counts, else the unified line, else the first.
    std::string_view chosen;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const auto first = line.find(':');
        const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string_view path = line.substr(second + 1);
        if (path.find("/step_") != std::string_view::npos) return cut_below_unit(path);
        if (chosen.empty() || line.starts_with("0::")) chosen = path;
    }
    return cut_below_unit(chosen);
}

std::string lifetime_scope() {
    std::ifstream file("/proc/self/cgroup");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::string scope = scope_of_cgroups(text);
    for (const char* name : kJobVariables) {
        scope += '\n';
        scope += environment_variable(name);
    }
    return scope;
}

std::string killing_job() {
    if (const auto step = environment_variable("SLURM_STEP_ID"); !step.empty())
        return "Slurm step " + environment_variable("SLURM_JOB_ID") + "." + step;
    for (const char* name : {"GITHUB_ACTIONS", "GITLAB_CI", "CI"})
        if (const auto value = environment_variable(name); value == "true" || value == "1") return "CI job";
    return {};
}

}  // namespace squenv::mount
