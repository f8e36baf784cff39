// SPDX-License-Identifier: MIT
// What an environment takes from outside of its tree besides links in it: the interpreter, and the
// packages of the system. Private to this module.
#pragma once

#include <vector>

#include "venv/environment.h"

namespace squenv::venv {

/// An interpreter or a home that is not on this machine, and packages that the image has not got.
[[nodiscard]] std::vector<Finding> check_interpreter(const Environment& environment);

}  // namespace squenv::venv
