// SPDX-License-Identifier: MIT
// Beginning without the libraries that the user's programs are to load: one that starts a thread
// keeps us out of every namespace, one that replaces ours breaks the daemon, and one that lies in a
// mount would be held there by a daemon of another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace squenv::cli {

/// Called first in main. When a library of LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH is part of this
/// process, and it is called to mount something, executes the program anew without these variables.
/// There, and always when it returns, they have their values again: for the programs that are run.
/// Does nothing where it cannot know itself, as without /proc, or has more rights than its user.
void start_cleanly(int argc, char** argv);

/// Whether these words of a command line ask for a mount.
[[nodiscard]] bool asks_for_mount(const std::vector<std::string_view>& words);

/// Whether a library that was loaded from `library` was found by `search_path`, as LD_LIBRARY_PATH
/// has it: separated by colons or semicolons, an empty one being the working directory.
[[nodiscard]] bool is_found_by(const std::string& library, const std::string& search_path);

}  // namespace squenv::cli
