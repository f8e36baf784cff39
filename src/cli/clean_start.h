// SPDX-License-Identifier: MIT
// Starts without the libraries that the user's programs are to load. A library that starts a thread
// locks this process out of every namespace. One that replaces a library of this program breaks the
// daemon. One in a mount would be held there by a daemon of another mount.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace squenv::cli {

/// Called first in main. Acts when a library of LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH is part of
/// this process, and the command line asks for a mount. It then executes the program anew without
/// these variables. There, and always when it returns, they have their values again, for the
/// programs that are run. Does nothing where it cannot read its own state, as without /proc, or has
/// more rights than its user.
void start_cleanly(int argc, char** argv);

/// Whether these words of a command line ask for a mount.
[[nodiscard]] bool asks_for_mount(const std::vector<std::string_view>& words);

/// Whether a library that was loaded from `library` was found by `search_path`. That has the
/// form of LD_LIBRARY_PATH: colons or semicolons separate its parts, and an empty one is the
/// working directory.
[[nodiscard]] bool is_found_by(const std::string& library, const std::string& search_path);

}  // namespace squenv::cli
