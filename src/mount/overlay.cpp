// SPDX-License-Identifier: MIT
#include "mount/overlay.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "system/mount_table.h"

namespace squenv::mount {

namespace {

constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV;

}  // namespace

Result<UniqueFd> mount_empty_layer(const std::string& mountpoint) {
    if (::mount(system::kOverlaySource, mountpoint.c_str(), "tmpfs", kFlags,
                "size=4k,nr_inodes=2,mode=755") != 0)
        return fail_errno(errno, mountpoint + ": empty layer");
    return open_file(mountpoint, O_PATH | O_DIRECTORY);
}

Status mount_overlay(const std::string& mountpoint, const UniqueFd& empty, bool noexec) {
    // An overlay copies the attributes of its root, which the kernel has only once it asked.
    struct stat info {};
    if (::stat(mountpoint.c_str(), &info) != 0) return fail_errno(errno, mountpoint);
    SQUENV_TRY_ASSIGN(const auto image, open_file(mountpoint, O_PATH | O_DIRECTORY));
    // Attributes of the namespace "user" alone may be asked for in a user namespace. With xino, all
    // objects have one device number.
    const auto options = fmt::format("userxattr,xino=on,lowerdir=/proc/self/fd/{}:/proc/self/fd/{}",
                                     image.get(), empty.get());
    if (::mount(system::kOverlaySource, mountpoint.c_str(), "overlay",
                kFlags | (noexec ? MS_NOEXEC : 0), options.c_str()) != 0)
        return fail_errno(errno, mountpoint + ": overlay mount");
    return {};
}

}  // namespace squenv::mount
