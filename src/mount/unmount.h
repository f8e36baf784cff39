// SPDX-License-Identifier: MIT
// Removes mounts, and finds the processes that keep them busy.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::mount {

enum class UnmountMode {
    normal,  ///< fails with busy while a process uses it
    lazy,    ///< gone from the tree at once, served until its last use ends
};

/// Calls umount2(2) where permitted, else fusermount3. `mountpoint` as the mount table has it.
/// Errors: busy, not_found (nothing mounted there), denied, environment.
[[nodiscard]] Status unmount(const std::string& mountpoint, UnmountMode mode);

/// A process that uses something below a mount point.
struct Holder {
    pid_t pid = 0;
    std::string command;  ///< the beginning of its command line
    std::string how;      ///< "current directory", "program", "mapped file", "open file"
};

/// The processes of this user (all, for root) that hold `mountpoint`, found without touching it.
[[nodiscard]] std::vector<Holder> find_holders(const std::string& mountpoint);

}  // namespace squenv::mount
