// SPDX-License-Identifier: MIT
// Asks the kernel for a FUSE mount: its properties, and the ways to ask.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// The properties of a mount. It is always read-only, nosuid and nodev.
struct KernelMount {
    std::string mountpoint;  ///< absolute
    std::string source;      ///< shown as the device: the image's path
    std::string subtype = "squenv";
    bool allow_other = false;         ///< for all users, not only the one that mounted it
    bool default_permissions = true;  ///< the kernel checks the modes
    bool noexec = false;              ///< no program in it may be executed
};

/// The ways to have an image at a path. The last two are for commands that run with it. A mount in
/// a user namespace is visible only there. An unpacked tree needs a place.
enum class Method { automatic, direct, fusermount, userns, extract };
inline constexpr Method kMethods[] = {Method::automatic, Method::direct, Method::fusermount,
                                      Method::userns, Method::extract};
[[nodiscard]] const char* method_name(Method method);
/// Errors: invalid_argument.
[[nodiscard]] Result<Method> parse_method(std::string_view name);

/// A mount that waits for its file system: the open connection, and the method that made it.
struct MountedDevice {
    UniqueFd device;
    Method method = Method::direct;
};

/// Mounts by `method`, one of the first three; automatic tries direct when that is permitted, then
/// fusermount. Errors: environment or denied, with the reason and the remedy.
[[nodiscard]] Result<MountedDevice> mount_kernel(const KernelMount& request, Method method);

/// mount(2) on /dev/fuse. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<UniqueFd> mount_direct(const KernelMount& request);
/// The setuid helper of libfuse. Works for every user where it is installed.
[[nodiscard]] Result<UniqueFd> mount_by_fusermount(const KernelMount& request);

/// True when this process holds CAP_SYS_ADMIN.
[[nodiscard]] bool may_mount_directly();

}  // namespace squenv::mount
