// SPDX-License-Identifier: MIT
// What the daemon gives up once it serves: image bytes are hostile, so whatever they might make it
// do must not reach anything.
#pragma once

namespace squenv::daemon {

/// Called before the worker threads start: no core dumps, no ptrace by equals, no_new_privs, no
/// capabilities, the user nobody instead of root, and no access to files, sockets and signals of
/// others (Landlock, where the kernel has it). A step that the kernel refuses is skipped and logged
/// at debug level.
void drop_privileges();

/// Called when all threads run: a seccomp filter, on every thread, that leaves the system calls a
/// running daemon needs, none that opens or names a file, maps code or signals another process;
/// others fail with EPERM. Skipped like the above.
void restrict_system_calls();

}  // namespace squenv::daemon
