// SPDX-License-Identifier: MIT
#include "system/namespace_mates.h"

#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

namespace squenv::system {

namespace {

/// The number of the first mount that a process sees.
std::optional<std::uint64_t> first_mount(const std::string& process) {
    std::ifstream table("/proc/" + process + "/mountinfo");
    std::uint64_t number = 0;
    if (!(table >> number)) return std::nullopt;
    return number;
}

bool is_in_namespace_of_self(const std::string& process) {
    const auto own = first_mount("self");
    return own && first_mount(process) == own;
}

}  // namespace

bool shares_mount_namespace(pid_t process) {
    return is_in_namespace_of_self(std::to_string(process));
}

std::vector<pid_t> mount_namespace_mates() {
    std::vector<pid_t> mates;
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end;
         at.increment(error)) {
        const std::string name = at->path().filename().string();
        pid_t pid = 0;
        const char* last = name.data() + name.size();
        if (std::from_chars(name.data(), last, pid).ptr != last || pid == ::getpid()) continue;
        if (is_in_namespace_of_self(name)) mates.push_back(pid);
    }
    return mates;
}

}  // namespace squenv::system
