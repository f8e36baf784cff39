// SPDX-License-Identifier: MIT
// From inputs and tools to the command lines that make an environment. Nothing is run here.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "create/inputs.h"
#include "create/tools.h"

namespace squenv::create {

struct Step {
    std::string name{};                    ///< for messages: "pip install"
    std::vector<std::string> words{};      ///< the first one is a path
    std::vector<std::string> variables{};  ///< NAME=VALUE, instead of the user's own
    /// A failure is reported and does not count: modules that cannot be compiled are common.
    bool may_fail = false;
    bool is_optional = false;  ///< passed over when there is no such program
};

struct Plan {
    std::vector<Step> steps{};
    std::vector<std::string> empty_files{};  ///< made first, relative to the tree
};

struct PlanOptions {
    std::string tree{};                    ///< the path at which the tools see it
    bool has_true_path = true;             ///< it is the one at which it will be used
    std::string python{};                  ///< a version or a path; "" for the usual one
    bool has_system_packages = false;      ///< --system-site-packages
    std::string index_url{};               ///< "" for the usual one
    std::string temporary{};               ///< TMPDIR of the tools, or "" for the user's own
    std::vector<std::string> arguments{};  ///< for the installer
};

/// Errors: not_found (no tool is installed that can do it, with those that could),
/// invalid_argument (an option that would have no effect).
[[nodiscard]] Result<Plan> make_plan(const Inputs& inputs, const Tools& tools,
                                     const PlanOptions& options);

/// Variables of the user that would lead the tools elsewhere than into the new environment, or
/// take what is installed elsewhere for a part of it.
[[nodiscard]] const std::vector<std::string>& misleading_variables();

/// NAME=VALUE for those that the user has not set.
[[nodiscard]] const std::vector<std::string>& default_variables();

}  // namespace squenv::create
