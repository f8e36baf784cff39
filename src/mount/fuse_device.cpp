// SPDX-License-Identifier: MIT
#include "mount/fuse_device.h"

#include <fcntl.h>

#include <cerrno>

namespace squenv::mount {

namespace {
constexpr const char* kDevice = "/dev/fuse";
}

Result<UniqueFd> open_fuse_device() {
    auto device = open_file(kDevice, O_RDWR);
    if (device) return device;
    Error error = device.error();
    error.code = Errc::environment;
    switch (error.sys_errno) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
            error.hint =
                "load it with 'modprobe fuse', or start the container with "
                "--device /dev/fuse";
            break;
        case EACCES:
            error.hint = "an administrator can allow it with 'chmod 0666 /dev/fuse'";
            break;
        case EPERM:
            error.hint = "the container forbids the device: start it with --device /dev/fuse";
            break;
        default: break;
    }
    return tl::unexpected(std::move(error));
}

Status check_fuse_device() {
    SQUENV_TRY(open_fuse_device());
    return {};
}

}  // namespace squenv::mount
