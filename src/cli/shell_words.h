// SPDX-License-Identifier: MIT
// Variables in the languages of shells.
#pragma once

#include <optional>
#include <string>

namespace squenv::cli {

/// The line, with its end, that sets and exports a variable, or removes it without a value.
[[nodiscard]] std::string shell_line(const std::string& name,
                                     const std::optional<std::string>& value);
/// The same for fish, where a variable whose name ends in PATH is a list.
[[nodiscard]] std::string fish_line(const std::string& name,
                                    const std::optional<std::string>& value);

}  // namespace squenv::cli
