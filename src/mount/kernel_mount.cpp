// SPDX-License-Identifier: MIT
#include "mount/kernel_mount.h"

#include <linux/capability.h>
#include <cerrno>

#include "system/capabilities.h"

namespace squenv::mount {

const char* method_name(Method method) {
    switch (method) {
        case Method::automatic: return "auto";
        case Method::direct: return "direct";
        case Method::fusermount: return "fusermount";
        case Method::userns: return "userns";
        case Method::extract: return "extract";
    }
    return "unknown";
}

Result<Method> parse_method(std::string_view name) {
    for (const Method method : kMethods)
        if (name == method_name(method)) return method;
    return fail(Errc::invalid_argument, "'" + std::string(name) + "' is not a way to mount",
                "use auto, direct, fusermount, userns or extract");
}

bool may_mount_directly() {
    return system::has_capability(CAP_SYS_ADMIN);
}

Result<MountedDevice> mount_kernel(const KernelMount& request, Method method) {
    if (method == Method::direct || (method == Method::automatic && may_mount_directly())) {
        auto device = mount_direct(request);
        if (device) return MountedDevice{std::move(*device), Method::direct};
        // In a container, root may hold the capability and still be refused: the helper comes next.
        if (method == Method::direct || device.error().sys_errno != EPERM)
            return tl::unexpected(device.error());
    }
    SQUENV_TRY_ASSIGN(auto device, mount_by_fusermount(request));
    return MountedDevice{std::move(device), Method::fusermount};
}

}  // namespace squenv::mount
