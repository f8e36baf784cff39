// SPDX-License-Identifier: MIT
// The socket at which the members of a mount find its daemon. Its name is made of the user, the
// mount namespace, the kill scope, the image, its view and the path. It lies in the abstract
// namespace, so the kernel removes it with the last process that has it open. The process that
// binds it first mounts. No file can be left over or go stale.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_identity.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::share {

/// One mount as its members agree on it.
struct SharedMount {
    FileIdentity image;
    std::string view;        ///< every other property that decides what the tree looks like
    std::string mountpoint;  ///< canonical
};

/// The name under which `mounts` are shared by processes of this user, in this mount namespace,
/// that end together (see kill_scope()). `kind` separates uses that cannot share.
[[nodiscard]] std::string rendezvous_name(const std::vector<SharedMount>& mounts,
                                          const std::string& kind);

/// The name under which processes of this user reach the daemon of a mount in any namespace, by the
/// number of its connection.
[[nodiscard]] std::string mount_name(std::uint32_t device_minor);

/// A listening socket of that name; nothing when another process has the name. Errors: limit, io.
[[nodiscard]] Result<std::optional<UniqueFd>> claim_rendezvous(const std::string& name);

/// Makes the calling process the one that peer_process() reports. The listener passes from process
/// to process while a mount is made.
void announce_listener(int listener);

/// A connection to the process that listens there; nothing when there is none. Errors: denied
/// (another user listens there), busy (its queue is full), io.
[[nodiscard]] Result<std::optional<UniqueFd>> visit_rendezvous(const std::string& name);

/// The process at the other end of a connection to a listener, -1 when it is not visible.
[[nodiscard]] pid_t peer_process(int socket);

/// The uid of the process at the other end of a connection.
[[nodiscard]] Result<std::uint32_t> peer_uid(int socket);

}  // namespace squenv::share
