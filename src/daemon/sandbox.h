// SPDX-License-Identifier: MIT
// The rights that the daemon gives up once it serves. Image bytes are hostile: whatever they make
// the daemon do must not reach anything.
#pragma once

namespace squenv::daemon {

/// Called before the worker threads start. The daemon then has no core dumps, no ptrace by equals,
/// no_new_privs, no capabilities, and the user nobody instead of root. It has no access to files,
/// sockets and signals of others (Landlock, where the kernel has it). A step that the kernel
/// refuses is skipped and logged at debug level.
void drop_privileges();

/// Called when all threads run. Installs a seccomp filter on every thread with the system calls
/// that a running daemon needs. None of them opens or names a file, maps code or signals another
/// process; others fail with EPERM. A refused step is skipped as above.
void restrict_system_calls();

}  // namespace squenv::daemon
