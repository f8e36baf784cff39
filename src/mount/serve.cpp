// SPDX-License-Identifier: MIT
#include "mount/serve.h"

#include <cerrno>

#include "base/inherited_fds.h"
#include "mount/daemon.h"
#include "mount/meeting_point.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/mountpoint_hold.h"
#include "mount/notifier.h"
#include "mount/sharing.h"
#include "mount/signal_block.h"
#include "mount/unmount.h"

namespace squenv::mount {

namespace {

/// Those who run a command over this image shall find the mount and not make another.
Result<std::optional<Users>> welcome_users(const MountRequest& request,
                                           const std::string& mountpoint) {
    SQUENV_TRY_ASSIGN(const auto name, meeting_name_of(request, mountpoint));
    SQUENV_TRY_ASSIGN(auto listener, claim_meeting_point(name));
    if (!listener) return std::optional<Users>();
    SQUENV_TRY_ASSIGN(auto users, Users::create(std::move(*listener), {}, {}));
    return std::optional<Users>(std::move(users));
}

struct Mounted {
    Opened opened;
    Service service;
};

/// Makes the mount point where it is missing, and holds it.
Result<MountpointHold> obtain_mountpoint(const std::string& path) {
    const auto status = prepare_mountpoint(path);
    // Only what is plainly missing: behind a symlink that leads nowhere nothing is made.
    if (!status && status.error().sys_errno != ENOENT) return tl::unexpected(status.error());
    // A living file system below ours must not be kept busy by a hold on its root.
    const auto below = find_mount(path);
    if (!below || (*below && (*below)->type.starts_with("fuse"))) return MountpointHold{};
    auto hold = hold_mountpoint(path);
    if (!hold && hold.error().hint.empty()) {
        Error error = hold.error();
        error.hint = "create it with 'mkdir -p " + path + "', or name another directory";
        return tl::unexpected(std::move(error));
    }
    return hold;
}

Result<Mounted> mount_opened(const MountRequest& request, Opened opened) {
    SQUENV_TRY(check_mountpoint(opened.mountpoint));
    SQUENV_TRY_ASSIGN(auto users, welcome_users(request, opened.mountpoint));
    SQUENV_TRY_ASSIGN(auto keeper,
                      mount_in_place(request, opened, users ? users->listener() : -1));
    const std::uint32_t minor = opened.device_minor;
    return Mounted{std::move(opened), Service{std::move(keeper), Lifetime::until_unmounted,
                                              std::move(users), {}, minor}};
}

/// Everything that can fail in front of the user.
Result<Mounted> open_and_mount(const MountRequest& request) {
    SQUENV_TRY_ASSIGN(auto opened, open_request(request));
    SQUENV_TRY_ASSIGN(opened.mountpoint, canonical_mountpoint(request.mountpoint));
    SQUENV_TRY_ASSIGN(opened.hold, obtain_mountpoint(opened.mountpoint));
    const auto created = opened.hold.created;
    auto mounted = mount_opened(request, std::move(opened));
    // What was made for nothing goes; the keeper of a mount removes it at its end.
    if (!mounted) remove_mountpoint(created);
    return mounted;
}

}  // namespace

Status serve(const MountRequest& request) {
    guard_standard_fds();
    const auto foreign = inherited_descriptors();
    // Until the mount's own log begins.
    SQUENV_TRY(log::start("stderr", request.log_level));
    SQUENV_TRY_ASSIGN(auto notifier, Notifier::start(request.notify_pipe));
    std::optional<SignalBlock> block(std::in_place);
    auto mounted = open_and_mount(request);
    Status status;
    if (!mounted) {
        status = tl::unexpected(mounted.error());
    } else {
        auto& [opened, service] = *mounted;
        const std::string mountpoint = opened.mountpoint;
        const auto on_ready = [&] { notifier.tell(true); };
        if (request.is_foreground || request.trace) {
            opened.log.use();
            block.reset();
            status = run_daemon(request, std::move(opened), std::move(service), on_ready);
            log::stop();
        } else {
            status = start_daemon(request, std::move(opened), std::move(service), foreign,
                                  on_ready);
        }
        if (!status) (void)unmount(mountpoint, UnmountMode::lazy);
    }
    if (!status) notifier.tell(false);
    return status;
}

}  // namespace squenv::mount
