// SPDX-License-Identifier: MIT
// One mount, and one daemon, for all processes of a user that use the same image at one path.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/request.h"
#include "daemon/request_files.h"
#include "share/membership.h"

namespace squenv::run {

/// Joins the mount of `request` at `mountpoint` or makes it, by direct or fusermount. `files`,
/// those of the request, begin only when it is made; has_failed() tells when that was the reason.
/// `inherited_fds` are descriptors that a daemon shall not keep. Before any thread exists.
/// Errors: those of RequestFiles::begin(); exists (something else of ours is mounted there, or the
/// same by processes that end otherwise), and whatever keeps a mount from being.
[[nodiscard]] Result<share::Membership> share_mount(const daemon::Request& request,
                                                    daemon::RequestFiles& files,
                                                    const std::string& mountpoint,
                                                    const std::vector<int>& inherited_fds);

/// A request, its files, and its canonical mount point; or an unpacked tree to show there instead.
struct PlacedRequest {
    daemon::Request request{};
    daemon::RequestFiles* files = nullptr;  ///< outlive it
    std::string mountpoint{};
    std::string tree{};  ///< "" mounts the image
};

/// The same for mounts in a namespace of their own. Processes with exactly these mounts share it,
/// unless one of them is a tree.
[[nodiscard]] Result<share::Membership> share_userns_mounts(
    const std::vector<PlacedRequest>& placed, const std::vector<int>& inherited_fds);

}  // namespace squenv::run
