// SPDX-License-Identifier: MIT
// Sockets with a name in the abstract namespace: no file is left over, and the kernel removes a
// name with the last process that has its socket open. Any user can take a name, so the user at the
// other end counts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// A listening socket of that name; nothing when another process has the name. Errors: limit, io.
[[nodiscard]] Result<std::optional<UniqueFd>> claim_name(const std::string& name);

/// Makes the calling process the one that peer_process() reports. The listener passes from process
/// to process while a mount is made.
void announce_listener(int listener);

/// A connection to the process that listens there; nothing when there is none. Errors: denied
/// (another user listens there), busy (its queue is full), io.
[[nodiscard]] Result<std::optional<UniqueFd>> visit_name(const std::string& name);

/// The process at the other end of a connection to a listener, -1 when it is not visible.
[[nodiscard]] pid_t peer_process(int socket);

/// The uid of the process at the other end of a connection.
[[nodiscard]] Result<std::uint32_t> peer_uid(int socket);

}  // namespace squenv::system
