// SPDX-License-Identifier: MIT
// What activating an environment does to the variables of a process: "source bin/activate" of a
// virtual environment, "conda activate" of a prefix of conda.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "venv/kind.h"

namespace squenv::venv {

/// A variable to set, or to remove.
struct Change {
    std::string name{};
    std::string value{};
    bool is_removed = false;
    bool is_default = false;  ///< set only where the variable is not set yet
    bool operator==(const Change&) const = default;
};

/// Activates the environment at `root` (absolute) on top of `path`, the value of PATH so far.
/// `kind` is not none.
[[nodiscard]] std::vector<Change> activation(const std::string& root, const std::string& path,
                                             EnvironmentKind kind = EnvironmentKind::venv);

/// Applies `changes` to environment variables by name.
void apply(const std::vector<Change>& changes, std::map<std::string, std::string>& variables);

/// Its name in a prompt: the last part of `root`, or the one before when that is "venv" or ".venv".
[[nodiscard]] std::string prompt_name(const std::string& root);

}  // namespace squenv::venv
