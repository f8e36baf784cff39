// SPDX-License-Identifier: MIT
// Why the system does not execute a program, in words that say what mends it. The errno value of
// execve(2) is the same for many reasons.
#pragma once

#include <string>

#include "base/process.h"
#include "base/result.h"

namespace squenv::cli {

/// The error of a program `name`, a path or a name that is looked up in PATH, that execvp(3)
/// refused with `sys_errno`. `missing_hint` is the advice for a name that is nowhere, or "". The
/// code is not_found when there is no such program, or the interpreter it names is missing; else it
/// is another one.
/// `search` is the list of directories that was looked through.
[[nodiscard]] Error refused_program(int sys_errno, const std::string& name,
                                    const std::string& missing_hint,
                                    const std::string& search = search_path());

}  // namespace squenv::cli
