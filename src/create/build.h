// SPDX-License-Identifier: MIT
// Runs the steps of a plan, in a process of its own that sees the tree at its place.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"
#include "create/placement.h"
#include "create/plan.h"

namespace squenv::create {

/// The variables, NAME=VALUE, of a process that runs `step`: `own` with those of the step, without
/// misleading ones.
[[nodiscard]] std::vector<std::string> variables_for(const Step& step,
                                                     const std::vector<std::string>& own);

struct BuildOptions {
    int lock = -1;    ///< the staging directory's; every process that is started keeps it
    int output = -1;  ///< gets what the tools print, on both of their streams
};

/// Runs the steps one after the other; returns the names of those that failed and may. The tools
/// have no terminal to read from, and end with this process. When `cancel` is set they are
/// interrupted, and killed two seconds later. Before any thread exists.
/// Errors: cancelled; io (a tool failed); not_found, denied (it cannot be started); those of
/// enter_place().
[[nodiscard]] Result<std::vector<std::string>> build(const Plan& plan, const Staging& staging,
                                                     const Place& place,
                                                     const BuildOptions& options,
                                                     const std::atomic<bool>& cancel);

}  // namespace squenv::create
