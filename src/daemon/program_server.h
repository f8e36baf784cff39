// SPDX-License-Identifier: MIT
// A server that is a program of its own: the one that takes over from another version.
#pragma once

#include "base/unique_fd.h"

namespace squenv::daemon {

/// The whole process of a program that a daemon has executed: see ServerProcess::execute(). Ends
/// the process.
[[noreturn]] void run_program_server(UniqueFd socket);

}  // namespace squenv::daemon
