// SPDX-License-Identifier: MIT
// Asking the kernel for a FUSE mount: what is asked, and the ways to ask.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// What a mount shall be like. Always read-only, nosuid and nodev.
struct KernelMount {
    std::string mountpoint;  ///< absolute
    std::string source;      ///< shown as the device: the image's path
    std::string subtype = "squenv";
    bool allow_other = false;         ///< for everybody, not only who mounted it
    bool default_permissions = true;  ///< the kernel checks the modes
    bool noexec = false;              ///< no program in it may be executed
};

/// The ways to have an image at a path. The last two are for commands that are run with it: what is
/// mounted in a user namespace is seen only there, and an unpacked tree needs a place.
enum class Method { automatic, direct, fusermount, userns, extract };
inline constexpr Method kMethods[] = {Method::automatic, Method::direct, Method::fusermount,
                                      Method::userns, Method::extract};
[[nodiscard]] const char* method_name(Method method);
/// Errors: invalid_argument.
[[nodiscard]] Result<Method> parse_method(std::string_view name);

/// A mount that waits for its file system: the open connection, and how it was made.
struct MountedDevice {
    UniqueFd device;
    Method method = Method::direct;
};

/// Mounts by `method`, one of the first three; automatic tries direct when we may, then fusermount.
/// Errors: environment or denied, with the reason and what would mend it.
[[nodiscard]] Result<MountedDevice> mount_kernel(const KernelMount& request, Method method);

/// mount(2) on /dev/fuse. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<UniqueFd> mount_direct(const KernelMount& request);
/// The setuid helper of libfuse. Works for every user where it is installed.
[[nodiscard]] Result<UniqueFd> mount_by_fusermount(const KernelMount& request);

/// True when this process holds CAP_SYS_ADMIN.
[[nodiscard]] bool may_mount_directly();

}  // namespace squenv::mount
