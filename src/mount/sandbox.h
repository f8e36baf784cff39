// SPDX-License-Identifier: MIT
// What the daemon gives up once it serves: image bytes are hostile, so whatever they might make it
// do must not reach anything.
#pragma once

namespace squenv::mount {

/// Called before the worker threads start: no core dumps, no ptrace by equals, no_new_privs, no
/// capabilities, and no file system access (Landlock, where the kernel has it). Every step that the
/// kernel refuses is skipped and logged at debug level.
void drop_privileges();

/// Called when all threads run: a seccomp filter, on every thread, that leaves the system calls a
/// running daemon needs; others fail with EPERM. Skipped like the above.
void restrict_system_calls();

}  // namespace squenv::mount
