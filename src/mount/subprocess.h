// SPDX-License-Identifier: MIT
// Running a helper program to its end.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::mount {

struct SubprocessResult {
    int exit_status = 0;  ///< as wait(2) reports it
    std::string errors;   ///< what it wrote on stderr, at most 4 KiB, without the final newline
    [[nodiscard]] bool is_success() const { return exit_status == 0; }
};

/// Runs `arguments` (the first is the absolute path) with stdin and stdout on /dev/null and
/// `environment` added to a clean one. `kept_fd` (or -1) stays open in it under its number.
/// Errors: environment when it cannot be started.
[[nodiscard]] Result<SubprocessResult> run_subprocess(const std::vector<std::string>& arguments,
                                                      const std::vector<std::string>& environment,
                                                      int kept_fd);

/// The first executable called `name` in PATH or the usual system directories.
/// Errors: environment.
[[nodiscard]] Result<std::string> find_program(const std::string& name);

}  // namespace squenv::mount
