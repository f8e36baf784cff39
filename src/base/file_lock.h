// SPDX-License-Identifier: MIT
// Advisory locks, on file systems that have them and on those that do not.
#pragma once

#include <string>

namespace squenv {

/// The result of a request for a lock.
enum class Locking {
    held,
    busy,        ///< another process has it, and LOCK_NB was given
    impossible,  ///< the file system, or a filter of system calls, has no locks
};

/// flock(2), repeated after signals.
Locking lock_file(int fd, int operation);

/// Whether `path` still names what is open as `fd`. To be checked once the lock is held: between
/// opening and locking, the file may have been removed or replaced.
[[nodiscard]] bool is_named(int fd, const std::string& path);

}  // namespace squenv
