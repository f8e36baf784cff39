// SPDX-License-Identifier: MIT
// The interactive shell of a launch: how it is started, and what its prompt says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/launch.h"

namespace squenv::cli {

/// The words that start the user's shell with the images of `launch` at `placements`. A shell that
/// cannot be adapted is named on io.err. Errors: as shell_command().
[[nodiscard]] Result<std::vector<std::string>> interactive_shell(
    const Launch& launch, const std::vector<run::Placement>& placements, Io& io);

}  // namespace squenv::cli
