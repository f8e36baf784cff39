// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// A process beside the daemon, with the daemon's end of the socket between them. The kernel closes
/// the other end when either process dies.
struct ChildProcess {
    UniqueFd socket;
    pid_t pid = -1;
};

/// Forks a process that runs `run(socket)`, which must not return. Before any thread exists.
/// Errors: limit (no process).
[[nodiscard]] Result<ChildProcess> fork_child(const std::function<void(int socket)>& run);

/// The same, but the process is no child of the caller, which may become another program.
[[nodiscard]] Result<UniqueFd> fork_detached(const std::function<void(int socket)>& run);

/// Over the socket of such a process. False when the other one is gone.
bool send_byte(int socket, char byte);
bool receive_byte(int socket, char& byte);

/// In such a process: closes every descriptor but the standard ones and these. `socket` becomes
/// number 3, `other` number 4, unless it is -1.
void keep_only(int socket, int other);

/// In such a process: closes every descriptor but `kept`, the standard ones too.
void close_all_but(std::vector<int> kept);

/// Waits for a child that is about to end, or has been killed. Its status does not matter.
void reap(pid_t child);

}  // namespace squenv::system
