// SPDX-License-Identifier: MIT
// Mounting through fusermount3: it opens /dev/fuse, mounts, and hands the descriptor back over a
// socket named by _FUSE_COMMFD.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/escape.h"
#include "base/socket_message.h"
#include "mount/fuse_device.h"
#include "mount/kernel_mount.h"
#include "mount/subprocess.h"

namespace squenv::mount {

namespace {

Result<UniqueFd> receive_descriptor(int socket) {
    auto message = receive_message(socket);
    if (!message || message->descriptors.size() != 1)
        return fail(Errc::environment, "fusermount3 sent no descriptor");
    return std::move(message->descriptors.front());
}

/// What to do about each of the reasons fusermount3 gives. Its messages are stable since 2.x.
std::string remedy(const std::string& message, const std::string& program) {
    const std::pair<const char*, const char*> kRemedies[] = {
        {"user_allow_other",
         "leave allow_other out, or an administrator adds 'user_allow_other' to /etc/fuse.conf"},
        {"no write access", "mount on a directory that belongs to you"},
        {"not owned by user", "mount on a directory that belongs to you"},
        {"failed to access mountpoint", "create the directory, and check that you may enter it"},
        {"too many FUSE filesystems", "unmount some ('squenv list'), or raise mount_max in "
                                      "/etc/fuse.conf"},
        {"over filesystem type", "mount on another file system, such as /tmp"},
        {"fuse device not found", "load it with 'modprobe fuse', or start the container with "
                                  "--device /dev/fuse"},
        {"failed to open /dev/fuse", "an administrator can allow it with 'chmod 0666 /dev/fuse'"},
    };
    for (const auto& [pattern, advice] : kRemedies)
        if (message.find(pattern) != std::string::npos) return advice;
    struct stat info {};
    if (::getuid() != 0 && ::stat(program.c_str(), &info) == 0 && (info.st_mode & S_ISUID) == 0)
        return fmt::format("{} has lost its setuid bit: an administrator runs 'chmod u+s {}'",
                           program, program);
    return {};
}

}  // namespace

Result<UniqueFd> mount_by_fusermount(const KernelMount& request) {
    SQUENV_TRY_ASSIGN(const auto program, find_program("fusermount3"));
    // fusermount3 opens the device as root but refuses nothing clearly; ask first.
    SQUENV_TRY(check_fuse_device());
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(errno, "socketpair");
    const UniqueFd ours(ends[0]);
    UniqueFd theirs(ends[1]);
    // fusermount3 splits its options at commas and takes a backslash as an escape.
    std::string options = fmt::format("ro,nosuid,nodev,fsname={},subtype={}",
                                      escaped(request.source, ","), escaped(request.subtype, ","));
    if (request.allow_other) options += ",allow_other";
    if (request.default_permissions) options += ",default_permissions";
    if (request.noexec) options += ",noexec";
    SQUENV_TRY_ASSIGN(
        const auto result,
        run_subprocess({program, "-o", options, "--", request.mountpoint},
                       {fmt::format("_FUSE_COMMFD={}", theirs.get())}, theirs.get()));
    theirs.reset();
    if (!result.is_success()) {
        std::string reason = result.errors.empty() ? "fusermount3 failed" : result.errors;
        return fail(Errc::environment, fmt::format("{}: {}", request.mountpoint, reason),
                    remedy(reason, program));
    }
    return receive_descriptor(ours.get());
}

}  // namespace squenv::mount
