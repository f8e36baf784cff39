// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace squenv {

/// The value of an environment variable, or "" when it is not set. Not while another thread sets
/// variables.
[[nodiscard]] std::string environment_variable(const char* name);

}  // namespace squenv
