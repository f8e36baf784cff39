// SPDX-License-Identifier: MIT
#include "system/process_state.h"

#include <fmt/core.h>

#include <fstream>

#include "base/file_io.h"

namespace squenv::system {

namespace {

std::string read_text(const std::string& path) {
    return file_content(path).value_or("");
}

/// Version 2 of control groups reports the state of every group, version 1 that of freezer groups.
bool is_frozen(const std::string& process) {
    std::ifstream groups(process + "/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string path = line.substr(second + 1);
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (controllers.empty() &&
            read_text("/sys/fs/cgroup" + path + "/cgroup.events").find("frozen 1") !=
                std::string::npos)
            return true;
        if (controllers == "freezer" &&
            read_text("/sys/fs/cgroup/freezer" + path + "/freezer.state").starts_with("FROZEN"))
            return true;
    }
    return false;
}

}  // namespace

char state_letter(std::string_view stat) {
    // The name in front may contain any character, parentheses too.
    const auto name_end = stat.rfind(')');
    return name_end == std::string_view::npos || name_end + 2 >= stat.size() ? '?'
                                                                             : stat[name_end + 2];
}

ProcessState process_state(pid_t process) {
    if (process <= 0) return ProcessState::running;
    const std::string directory = fmt::format("/proc/{}", process);
    switch (state_letter(read_text(directory + "/stat"))) {
        case 'T':
        case 't': return ProcessState::stopped;
        case 'Z':
        case 'X': return ProcessState::dead;
        default: return is_frozen(directory) ? ProcessState::frozen : ProcessState::running;
    }
}

const char* state_text(ProcessState state) {
    switch (state) {
        case ProcessState::running: return "runs";
        case ProcessState::stopped: return "is stopped";
        case ProcessState::frozen: return "is frozen by its control group";
        case ProcessState::dead: return "is dead";
    }
    return "";
}

std::string state_remedy(ProcessState state, pid_t process) {
    if (state == ProcessState::stopped)
        return fmt::format("let it go on with 'kill -CONT {0}', or end it with 'kill -KILL {0}'",
                           process);
    if (state == ProcessState::frozen)
        return fmt::format("thaw its control group ('cat /proc/{}/cgroup' names it)", process);
    return {};
}

}  // namespace squenv::system
