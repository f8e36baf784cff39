// SPDX-License-Identifier: MIT
// Compiled forms for the modules that a session wrote.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "base/result.h"

namespace squenv::edit {

/// Whether the session wrote the file at `path`, relative to the environment.
using IsWritten = std::function<bool(const std::string& path, const struct stat& info)>;

/// Has the Python of the environment at `root` compile the modules of its library below `tree`, a
/// directory with the same paths, that `is_written` and that have no compiled form that fits. Forms
/// are checked by time and size of the source, as those that pip makes. False when some modules
/// cannot be compiled. Without such modules, or such an environment, nothing is started.
/// Errors: limit (no room beside `tree`; forms that the session wrote may be cut, and are removed
/// where their sources are), denied, io, and those of starting the program.
[[nodiscard]] Result<bool> compile_written(const std::string& root, const std::string& tree,
                                           const IsWritten& is_written);

}  // namespace squenv::edit
