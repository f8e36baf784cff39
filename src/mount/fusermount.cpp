// SPDX-License-Identifier: MIT
// Mounts through fusermount3. It opens /dev/fuse, mounts, and passes the descriptor back over a
// socket named by _FUSE_COMMFD.
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/socket_message.h"
#include "base/text.h"
#include "mount/fuse_device.h"
#include "mount/fusermount_program.h"
#include "mount/kernel_mount.h"
#include "mount/mountpoint.h"
#include "system/subprocess.h"

namespace squenv::mount {

namespace {

Result<UniqueFd> receive_descriptor(int socket) {
    auto message = receive_message(socket);
    if (!message || message->descriptors.size() != 1)
        return fail(Errc::environment, "fusermount3 sent no descriptor");
    return std::move(message->descriptors.front());
}

/// An ordinary user must be able to unmount what the program mounts.
Result<std::string> find_usable_program() {
    SQUENV_TRY_ASSIGN(auto program, find_fusermount());
    if (::getuid() != 0) SQUENV_TRY(check_mtab());
    return program;
}

}  // namespace

Result<UniqueFd> mount_by_fusermount(const KernelMount& request) {
    const auto program = find_usable_program();
    if (!program) return with_context(program.error(), request.mountpoint);
    // fusermount3 opens the device as root but reports no clear reason; a check comes first.
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
        system::run_subprocess({*program, "-o", options, "--", request.mountpoint},
                               {fmt::format("_FUSE_COMMFD={}", theirs.get())}, theirs.get()));
    theirs.reset();
    if (!result.is_success()) {
        // A mount that another process has just made here is closed to fusermount3.
        SQUENV_TRY(check_unoccupied(request.mountpoint));
        const std::string reason = fusermount_reason(result);
        return fail(Errc::environment, fmt::format("{}: {}", request.mountpoint, reason),
                    fusermount_remedy(reason));
    }
    return receive_descriptor(ours.get());
}

}  // namespace squenv::mount
