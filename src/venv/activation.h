// SPDX-License-Identifier: MIT
// What "source bin/activate" does to the environment of a process.
#pragma once

#include <string>
#include <vector>

namespace squenv::venv {

/// A variable to set, or to remove.
struct Change {
    std::string name{};
    std::string value{};
    bool is_removed = false;
    bool operator==(const Change&) const = default;
};

/// Activates the environment at `root` (absolute) on top of `path`, the value of PATH so far.
[[nodiscard]] std::vector<Change> activation(const std::string& root, const std::string& path);

/// Its name in a prompt: the last part of `root`, or the one before when that is "venv" or ".venv".
[[nodiscard]] std::string prompt_name(const std::string& root);

}  // namespace squenv::venv
