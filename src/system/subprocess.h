// SPDX-License-Identifier: MIT
// Running a helper program to its end.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::system {

struct SubprocessResult {
    int exit_status = 0;  ///< as wait(2) reports it
    std::string errors;   ///< what it wrote on stderr, at most 4 KiB, without the final newline
    [[nodiscard]] bool is_success() const { return exit_status == 0; }
};

/// Runs `arguments` (the first is the absolute path) with stdin and stdout on /dev/null and
/// `environment` added to a clean one, so that no library of LD_PRELOAD comes along. Nothing else
/// is inherited either: signals have their default actions and none is blocked, the umask is 022,
/// and of the descriptors only `kept_fd` (above 2, or -1) stays open, under its number.
/// Errors: environment when it cannot be started.
[[nodiscard]] Result<SubprocessResult> run_subprocess(const std::vector<std::string>& arguments,
                                                      const std::vector<std::string>& environment,
                                                      int kept_fd);

}  // namespace squenv::system
