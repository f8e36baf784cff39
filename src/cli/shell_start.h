// SPDX-License-Identifier: MIT
// Starting an interactive shell so that its own start-up files neither undo the environment nor
// hide that one is active.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::cli {

/// The shell this user uses: $SHELL, else the one of the account, else /bin/sh.
[[nodiscard]] std::string user_shell();

/// The words that start `shell` (a path) interactively, so that after its start-up files PATH is
/// again what it is now and the prompt begins with `mark`. bash, zsh, fish and shells that read
/// $ENV (dash, ksh, busybox) are known; others are started as they are. May set variables of this
/// process, open a descriptor that the shell inherits, or make a temporary directory that the
/// shell removes. Errors: io.
[[nodiscard]] Result<std::vector<std::string>> shell_command(const std::string& shell,
                                                             const std::string& mark);

}  // namespace squenv::cli
