// SPDX-License-Identifier: MIT
// Questions about the path of an output, and about how new files are made.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace squenv {

/// "a/b" -> "a"; "." and "/" where there is none.
[[nodiscard]] std::string output_directory(const std::string& path);

/// Where `path` leads when its last name is a symbolic link, and from there on; what it leads to
/// need not be there. Errors: denied (a link that the kernel does not follow for this user), io
/// (a loop).
[[nodiscard]] Result<std::string> follow_links(const std::string& path);

/// The umask, or nothing where /proc does not say it. Asking by umask(2) would set it for a moment,
/// for all threads.
[[nodiscard]] std::optional<mode_t> process_umask();

}  // namespace squenv
