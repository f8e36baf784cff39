// SPDX-License-Identifier: MIT
// squenv-pack: the packer as a program of its own, for hosts without libfuse.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace squenv::cli {

/// The whole program: `arguments` with the name it was called by first. Returns the exit status.
[[nodiscard]] int run_pack_program(const std::vector<std::string>& arguments, Io& io);

}  // namespace squenv::cli
