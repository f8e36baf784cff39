// SPDX-License-Identifier: MIT
#include "mount/overlay.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "system/mount_table.h"

namespace squenv::mount {

Status mount_overlay(const std::string& mountpoint, bool noexec) {
    // An overlay copies the attributes of its root, which the kernel has only once it asked.
    struct stat info {};
    if (::stat(mountpoint.c_str(), &info) != 0) return fail_errno(errno, mountpoint);
    const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | (noexec ? MS_NOEXEC : 0);
    SQUENV_TRY_ASSIGN(const auto image, open_file(mountpoint, O_PATH | O_DIRECTORY));
    if (::mount(system::kOverlaySource, mountpoint.c_str(), "tmpfs", flags,
                "size=4k,nr_inodes=2,mode=755") != 0)
        return fail_errno(errno, mountpoint + ": empty layer");
    const auto empty = open_file(mountpoint, O_PATH | O_DIRECTORY);
    // Attributes of the namespace "user" alone may be asked for in a user namespace. With xino, all
    // objects have one device number.
    const auto options = fmt::format("userxattr,xino=on,lowerdir=/proc/self/fd/{}:/proc/self/fd/{}",
                                     image.get(), empty ? empty->get() : -1);
    if (::mount(system::kOverlaySource, mountpoint.c_str(), "overlay", flags, options.c_str()) == 0)
        return {};
    auto refused = fail_errno(errno, mountpoint + ": overlay mount");
    (void)::umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    return refused;
}

}  // namespace squenv::mount
