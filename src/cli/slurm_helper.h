// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace squenv::cli {

/// Serves the plugin for Slurm. Returns the exit status, one of `run`'s.
[[nodiscard]] int run_as_slurm_helper(const std::vector<std::string>& arguments, Io& io);

}  // namespace squenv::cli
