// SPDX-License-Identifier: MIT
// The access rights of an image that takes the place of another one: those of that one.
#pragma once

#include <optional>
#include <string>

namespace squenv {

/// Gives the open `file` the mode, group and POSIX ACL of the file at `path`, as far as this
/// process may. Returns what could not be kept, as a line for the user, or ""; nothing when there
/// is no file at `path`. Whatever is lost, no user but the owner of `file` gets more rights on it
/// than on the other one.
[[nodiscard]] std::optional<std::string> keep_access(int file, const std::string& path);

}  // namespace squenv
