// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "mount/fuse_device.h"
#include "mount/kernel_mount.h"

namespace squenv::mount {

Result<UniqueFd> mount_direct(const KernelMount& request) {
    SQUENV_TRY_ASSIGN(auto device, open_fuse_device());
    std::string options = fmt::format("fd={},rootmode=40000,user_id={},group_id={}", device.get(),
                                      ::getuid(), ::getgid());
    if (request.allow_other) options += ",allow_other";
    if (request.default_permissions) options += ",default_permissions";
    const std::string type = "fuse." + request.subtype;
    unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV;
    if (request.noexec) flags |= MS_NOEXEC;
    if (::mount(request.source.c_str(), request.mountpoint.c_str(), type.c_str(), flags,
                options.c_str()) != 0) {
        const int code = errno;
        const char* hint =
            code == EPERM ? "mounting directly needs CAP_SYS_ADMIN; try --via fusermount" : "";
        return fail_errno(code, request.mountpoint + ": mount", hint);
    }
    return device;
}

}  // namespace squenv::mount
