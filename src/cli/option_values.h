// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>

namespace squenv::cli {

/// Makes an empty value of any option with a long name an error: an unset variable of a script must
/// not mean that the option was not there. `-o ""` of mount, which has none, stays an empty list.
void refuse_empty_values(CLI::App& app);

}  // namespace squenv::cli
