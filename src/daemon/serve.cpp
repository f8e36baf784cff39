// SPDX-License-Identifier: MIT
#include "daemon/serve.h"

#include <cerrno>

#include "daemon/daemon.h"
#include "daemon/notifier.h"
#include "mount/mountpoint.h"
#include "mount/mountpoint_hold.h"
#include "mount/unmount.h"
#include "system/mount_table.h"
#include "system/named_socket.h"
#include "system/signal_block.h"

namespace squenv::daemon {

namespace {

/// Those who run a command over this image shall find the mount and not make another.
Result<std::optional<share::Members>> welcome_members(const Request& request,
                                                      const std::string& mountpoint) {
    const auto name = rendezvous_name_of(request, mountpoint);
    SQUENV_TRY_ASSIGN(auto listener, system::claim_name(name));
    if (!listener) return std::optional<share::Members>();
    SQUENV_TRY_ASSIGN(auto members, share::Members::create(std::move(*listener), {}, {}));
    return std::optional<share::Members>(std::move(members));
}

struct Mounted {
    RequestFiles files;
    Opened opened;
    Service service;
};

/// Makes the mount point where it is missing, and holds it.
Result<mount::MountpointHold> obtain_mountpoint(const std::string& path) {
    const auto status = mount::prepare_mountpoint(path);
    // Only what is plainly missing: behind a symlink that leads nowhere nothing is made.
    if (!status && status.error().sys_errno != ENOENT) return tl::unexpected(status.error());
    // A living file system below ours must not be kept busy by a hold on its root.
    const auto below = system::find_mount(path);
    if (!below || (*below && (*below)->type.starts_with("fuse"))) return mount::MountpointHold{};
    auto hold = mount::hold_mountpoint(path);
    if (!hold && hold.error().hint.empty()) {
        Error error = hold.error();
        error.hint = error.code == Errc::denied
                         ? "name a directory of yours"
                         : "create it with 'mkdir -p " + path + "', or name another directory";
        return tl::unexpected(std::move(error));
    }
    return hold;
}

Result<Mounted> mount_opened(const Request& request, RequestFiles files, Opened opened) {
    SQUENV_TRY(mount::check_mountpoint(opened.mountpoint));
    SQUENV_TRY_ASSIGN(auto members, welcome_members(request, opened.mountpoint));
    SQUENV_TRY_ASSIGN(auto supervisor,
                      mount_in_place(request, opened, members ? members->listener() : -1));
    return Mounted{
        std::move(files), std::move(opened),
        Service{std::move(supervisor), Lifetime::until_unmounted, std::move(members), {}}};
}

/// Everything that can fail in front of the user.
Result<Mounted> open_and_mount(Request& request) {
    if (request.overlay == Overlay::on)
        return fail(Errc::invalid_argument,
                    "option overlay=on: only a mount in a namespace can have one",
                    "use 'squenv run --via userns', or leave it out");
    SQUENV_TRY(open_image(request));
    SQUENV_TRY_ASSIGN(auto opened, open_request(request));
    SQUENV_TRY_ASSIGN(auto files, RequestFiles::open(request));
    SQUENV_TRY(files.begin(request, *opened.image));
    SQUENV_TRY_ASSIGN(opened.mountpoint, system::canonical_mountpoint(request.mountpoint));
    SQUENV_TRY_ASSIGN(opened.hold, obtain_mountpoint(opened.mountpoint));
    const auto created = opened.hold.created;
    auto mounted = mount_opened(request, std::move(files), std::move(opened));
    // What was made for nothing goes; the supervisor of a mount removes it at its end.
    if (!mounted) mount::remove_mountpoint(created);
    return mounted;
}

/// In the foreground, or in a daemon of its own, which holds none of `inherited_fds`.
Status serve_mounted(const Request& request, Mounted mounted, const std::vector<int>& inherited_fds,
                     std::optional<system::SignalBlock>& block) {
    auto& [files, opened, service] = mounted;
    if (!request.is_foreground && !request.trace)
        return start_daemon(request, files, std::move(opened), std::move(service), inherited_fds);
    files.log.use();
    block.reset();
    const auto status =
        run_daemon(request, std::move(files), std::move(opened), std::move(service));
    log::stop();
    return status;
}

Status mount_and_serve(Request& request, Notifier& notifier,
                       const std::vector<int>& inherited_fds) {
    std::optional<system::SignalBlock> block(std::in_place);
    SQUENV_TRY_ASSIGN(auto mounted, open_and_mount(request));
    const std::string mountpoint = mounted.opened.mountpoint;
    mounted.service.on_ready = [&notifier] { notifier.tell(true); };
    const auto status = serve_mounted(request, std::move(mounted), inherited_fds, block);
    if (!status) (void)mount::unmount(mountpoint, mount::UnmountMode::lazy);
    return status;
}

}  // namespace

Status serve(Request request, const std::vector<int>& inherited_fds) {
    guard_standard_fds();
    // Until the mount's own log begins.
    SQUENV_TRY(log::start("stderr", request.log_level));
    SQUENV_TRY_ASSIGN(auto notifier, Notifier::start(request.notify_pipe));
    const auto status = mount_and_serve(request, notifier, inherited_fds);
    if (!status) notifier.tell(false);
    return status;
}

}  // namespace squenv::daemon
