// SPDX-License-Identifier: MIT
// Who may read an image that takes the place of another one: those who could read that one.
#pragma once

#include <optional>
#include <string>

namespace squenv::pack {

/// Gives the open `file` the mode, group and POSIX ACL of the file at `path`, as far as this
/// process may. Returns what could not be kept, as a line for the user, or "". Whatever that is, no
/// user gets more rights on `file` than on the other one, but for its owner, who packs.
/// Nothing when there is no file at `path`.
[[nodiscard]] std::optional<std::string> keep_access(int file, const std::string& path);

}  // namespace squenv::pack
