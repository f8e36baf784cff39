// SPDX-License-Identifier: MIT
#include "base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace squenv {

namespace {

/// The quota of the cgroup in processors, or 0 when there is none or it cannot be read.
double cgroup_quota() {
    std::ifstream membership("/proc/self/cgroup");
    for (std::string line; std::getline(membership, line);) {
        if (!line.starts_with("0::")) continue;
        std::ifstream limits("/sys/fs/cgroup" + line.substr(3) + "/cpu.max");
        std::string quota;
        double period = 0;
        if (limits >> quota >> period && quota != "max" && period > 0)
            return std::strtod(quota.c_str(), nullptr) / period;
    }
    return 0;
}

}  // namespace

cpu_set_t allowed_processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    return set;
}

unsigned available_cpus() {
    const cpu_set_t set = allowed_processors();
    auto cpus = static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
    const double quota = cgroup_quota();
    if (quota > 0) cpus = std::min(cpus, static_cast<unsigned>(std::max(1.0, std::ceil(quota))));
    return cpus;
}

}  // namespace squenv
