// SPDX-License-Identifier: MIT
// An image on its way to being served: open, then mounted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "daemon/request.h"
#include "daemon/supervisor.h"
#include "fuse/file_system.h"
#include "image/image.h"
#include "mount/kernel_mount.h"
#include "mount/mountpoint_hold.h"

namespace squenv::daemon {

/// An image that is about to be served, in order of construction.
struct Opened {
    fuse::ViewOptions view{};  ///< that of the request, with what follows from the user
    std::unique_ptr<image::Image> image{};
    std::unique_ptr<fuse::FileSystem> file_system{};
    std::string image_name{};        ///< absolute
    std::string identity{};          ///< see content_identity()
    std::string mountpoint{};        ///< canonical
    mount::MountpointHold hold{};    ///< on the directory that the mount covers
    UniqueFd device{};               ///< empty until it is mounted
    std::uint32_t device_minor = 0;  ///< of the mount's connection; 0 until it is mounted
    bool is_in_namespace = false;    ///< the mount goes with its namespace
};

/// What is in the image of `request`, whose file is open. Changes nothing. Errors: those of
/// Image::open(), and not_found or invalid_argument for the subdirectory.
[[nodiscard]] Result<Opened> open_request(const Request& request);
/// The same for what `opened` says already: sets its image and file system.
[[nodiscard]] Status open_view(const Request& request, Opened& opened);
/// What the kernel is asked for it.
[[nodiscard]] mount::KernelMount kernel_mount_of(const Request& request, const Opened& opened);

/// Mounts it in place by the method of `request`. Returns its supervisor, which is started before
/// and holds `held_fd`, unless that is -1. Errors: those of mount_kernel(); limit; exists (another
/// mount of this program came first).
[[nodiscard]] Result<Supervisor> mount_in_place(const Request& request, Opened& opened,
                                                int held_fd);

}  // namespace squenv::daemon
