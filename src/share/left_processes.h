// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace squenv::share {

/// Whether a process of this user lives in this mount namespace that was started from a run with an
/// image at `mountpoint`. Such a process has the path in the variable SQUENV_MOUNTS, which children
/// inherit, and is younger than the calling process. So a program that became a daemon and closed
/// unknown descriptors keeps its mount, too. A process that emptied its environment is not found.
/// The search may take two seconds where processes hang; the result is then true.
[[nodiscard]] bool has_left_processes(const std::string& mountpoint);

/// Whether the text of /proc/PID/environ names `mountpoint` in that variable.
[[nodiscard]] bool names_mountpoint(std::string_view environment, const std::string& mountpoint);

}  // namespace squenv::share
