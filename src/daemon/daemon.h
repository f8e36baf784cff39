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
#include "daemon/lifetime.h"
#include "daemon/recording_file.h"
#include "daemon/request.h"
#include "daemon/stage.h"
#include "daemon/supervisor.h"
#include "fuse/file_system.h"
#include "image/image.h"
#include "mount/kernel_mount.h"
#include "mount/mountpoint_hold.h"
#include "share/members.h"
#include "system/background.h"
#include "system/namespaces.h"

namespace squenv::daemon {

/// An image that is about to be served, in order of construction.
struct Opened {
    std::unique_ptr<image::Image> image{};
    std::unique_ptr<fuse::FileSystem> file_system{};
    std::string image_name{};      ///< absolute
    std::string identity{};        ///< see content_identity()
    std::string mountpoint{};      ///< canonical
    mount::MountpointHold hold{};  ///< on the directory that the mount covers
    std::optional<RecordingFile> record{};
    std::unique_ptr<Stage> stage{};
    log::Destination log{};          ///< open: its file may lie below the mount point
    UniqueFd device{};               ///< empty until it is mounted
    std::uint32_t device_minor = 0;  ///< of the mount's connection; 0 until it is mounted
};

/// What is in the image of `request`, which is open; nothing is mounted yet. Errors: those of
/// Image::open(), and not_found or invalid_argument for the subdirectory.
[[nodiscard]] Result<Opened> open_request(const Request& request);
/// What the kernel is asked for it.
[[nodiscard]] mount::KernelMount kernel_mount_of(const Request& request, const Opened& opened);

/// Mounts it in place by the method of `request`. The keeper that is returned was there before, and
/// holds `held_fd`, if that is not -1. Errors: those of mount_kernel(); limit.
[[nodiscard]] Result<Supervisor> mount_in_place(const Request& request, Opened& opened,
                                                int held_fd);

/// Who the daemon serves beside the kernel.
struct Service {
    Supervisor supervisor;  ///< of this mount, which is there already
    Lifetime lifetime = Lifetime::until_unmounted;
    std::optional<share::Members> members{};
    /// What the mount lives in, when it is not ours; let go of as soon as everything runs.
    system::Namespaces namespaces{};
    std::uint32_t device_minor = 0;  ///< of the mount's connection
};

/// Serves until the mount is gone. `on_ready` is called once INIT was answered.
/// Must be called before the process has threads. Errors: environment, limit.
[[nodiscard]] Status run_daemon(const Request& request, Opened opened, Service service,
                                const std::function<void()>& on_ready);

/// The same in a background process that holds none of `foreign` descriptors; returns when the
/// file system answers. The caller's copy of the connection is closed. `on_ready` is called there.
[[nodiscard]] Status start_daemon(const Request& request, Opened opened, Service service,
                                  const std::vector<int>& inherited_fds,
                                  const std::function<void()>& on_ready);

}  // namespace squenv::daemon
