// SPDX-License-Identifier: MIT
// The socket at which the members of a mount find its daemon. Its name is made of the user, the
// mount namespace, the kill scope, the image, its view and the path. The process that takes the
// name first mounts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file_identity.h"

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

}  // namespace squenv::share
