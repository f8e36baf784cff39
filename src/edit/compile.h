// SPDX-License-Identifier: MIT
// Compiled forms for the modules that a session wrote.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv::edit {

/// Has the Python of the environment at `root` compile the modules of its library below `written`,
/// a directory with the same paths, that are not older than `since` (seconds since 1970) and have
/// no compiled form that fits. Forms are checked by time and size of the source, as those that pip
/// makes. False when some modules cannot be compiled. Without such modules, or such an environment,
/// nothing is started. Errors: denied, limit, io, and those of starting the program.
[[nodiscard]] Result<bool> compile_written(const std::string& root, const std::string& written,
                                           std::int64_t since);

}  // namespace squenv::edit
