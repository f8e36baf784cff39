// SPDX-License-Identifier: MIT
// Starts an interactive shell so that its own start-up files neither undo the environment nor hide
// that one is active.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::cli {

/// The shell of this user: $SHELL, else that of the account, else /bin/sh.
[[nodiscard]] std::string user_shell();

/// The state of the shell after its own start-up files.
struct ShellStart {
    std::string mark{};                    ///< in front of the prompt
    std::vector<std::string> variables{};  ///< names; they get their present values again
    std::string conda_prefix{};            ///< of the activation scripts to source, or ""
};

/// True for the shells that shell_command() knows: bash, zsh, fish, and those that read $ENV (dash,
/// ksh, busybox).
[[nodiscard]] bool is_adapted(const std::string& shell);

/// The words that start `shell` (a path) interactively. After its start-up files, which may change
/// both, PATH is again what it is now, and the requests of `start` are done. An unknown shell is
/// started as it is. May set variables of this process, open a descriptor that the shell inherits,
/// or make a temporary directory that the shell removes. Errors: io.
[[nodiscard]] Result<std::vector<std::string>> shell_command(const std::string& shell,
                                                             const ShellStart& start);

}  // namespace squenv::cli
