// SPDX-License-Identifier: MIT
// One mount, and one daemon, for all processes of a user that want the same image at the same path.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "mount/lease.h"
#include "mount/request.h"

namespace squenv::mount {

/// Equal for two requests only when the same bytes are shown in the same way.
/// Errors: not_found, denied (the image).
[[nodiscard]] Result<std::string> content_identity(const MountRequest& request);

/// The name under which a mount of `request` at `mountpoint` (canonical) is shared.
/// Errors: not_found, denied (the image).
[[nodiscard]] Result<std::string> meeting_name_of(const MountRequest& request,
                                                  const std::string& mountpoint);

/// Joins the mount of `request` at `mountpoint` or makes it, by direct or fusermount.
/// `foreign` are descriptors that a daemon shall not keep. Before any thread exists.
/// Errors: exists (something else of ours is mounted there, or the same by processes that end
/// otherwise), and whatever keeps a mount from being.
[[nodiscard]] Result<Lease> share_mount(const MountRequest& request, const std::string& mountpoint,
                                        const std::vector<int>& foreign);

/// A request and its canonical mount point; or an unpacked tree to show there instead.
struct PlacedRequest {
    MountRequest request{};
    std::string mountpoint{};
    std::string tree{};  ///< "" mounts the image
};

/// The same for mounts in a namespace of their own. Users of exactly these mounts share it, unless
/// one of them is a tree.
[[nodiscard]] Result<Lease> share_private_mounts(const std::vector<PlacedRequest>& placed,
                                                 const std::vector<int>& foreign);

}  // namespace squenv::mount
