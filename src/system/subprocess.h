// SPDX-License-Identifier: MIT
// Runs a helper program to its end.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::system {

struct SubprocessResult {
    int exit_status = 0;  ///< as wait(2) reports it
    std::string errors;   ///< the program's stderr, at most 4 KiB, without the final newline
    [[nodiscard]] bool is_success() const { return exit_status == 0; }
};

/// Runs `arguments` (the first is the absolute path) with stdin and stdout on /dev/null.
/// `environment` is added to a clean one, so that no library of LD_PRELOAD comes along. Nothing
/// else is inherited: signals have their default actions, none is blocked, and the umask is 022. Of
/// the descriptors only `kept_fd` (above 2, or -1) stays open, under its number.
/// Errors: environment when the program cannot be started.
[[nodiscard]] Result<SubprocessResult> run_subprocess(const std::vector<std::string>& arguments,
                                                      const std::vector<std::string>& environment,
                                                      int kept_fd);

}  // namespace squenv::system
