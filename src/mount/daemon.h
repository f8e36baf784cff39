// SPDX-License-Identifier: MIT
// The process that serves a mount, from the open connection to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fuse/file_system.h"
#include "image/image.h"
#include "mount/background.h"
#include "mount/keeper.h"
#include "mount/kernel_mount.h"
#include "mount/lifetime.h"
#include "mount/mountpoint_hold.h"
#include "mount/namespaces.h"
#include "mount/record_file.h"
#include "mount/request.h"
#include "mount/stage.h"
#include "mount/users.h"

namespace squenv::mount {

/// An image that is about to be served, in order of construction.
struct Opened {
    std::unique_ptr<image::Image> image{};
    std::unique_ptr<fuse::FileSystem> file_system{};
    std::string image_name{};  ///< absolute
    std::string identity{};    ///< see content_identity()
    std::string mountpoint{};  ///< canonical
    MountpointHold hold{};     ///< on the directory that the mount covers
    std::optional<RecordFile> record{};
    std::unique_ptr<Stage> stage{};
    log::Destination log{};    ///< open: its file may lie below the mount point
    UniqueFd device{};         ///< empty until it is mounted
    std::uint32_t device_minor = 0;  ///< of the mount's connection; 0 until it is mounted
};

/// The image and what is in it; nothing is mounted yet. Errors: those of Image::open(), and
/// not_found or invalid_argument for the subdirectory.
[[nodiscard]] Result<Opened> open_request(const MountRequest& request);
/// What the kernel is asked for it.
[[nodiscard]] KernelMount kernel_mount_of(const MountRequest& request, const Opened& opened);

/// Mounts it in place by the method of `request`. The keeper that is returned was there before, and
/// holds `held_fd`, if that is not -1. Errors: those of mount_kernel(); limit.
[[nodiscard]] Result<Keeper> mount_in_place(const MountRequest& request, Opened& opened,
                                            int held_fd);

/// Who the daemon serves beside the kernel.
struct Service {
    Keeper keeper;  ///< of this mount, which is there already
    Lifetime lifetime = Lifetime::until_unmounted;
    std::optional<Users> users{};
    /// What the mount lives in, when it is not ours; let go of as soon as everything runs.
    Namespaces home{};
    std::uint32_t device_minor = 0;  ///< of the mount's connection
};

/// Serves until the mount is gone. `on_ready` is called once INIT was answered.
/// Must be called before the process has threads. Errors: environment, limit.
[[nodiscard]] Status run_daemon(const MountRequest& request, Opened opened, Service service,
                                const std::function<void()>& on_ready);

/// The same in a background process that holds none of `foreign` descriptors; returns when the
/// file system answers. The caller's copy of the connection is closed. `on_ready` is called there.
[[nodiscard]] Status start_daemon(const MountRequest& request, Opened opened, Service service,
                                  const std::vector<int>& foreign,
                                  const std::function<void()>& on_ready);

}  // namespace squenv::mount
