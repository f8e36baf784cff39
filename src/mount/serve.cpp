// SPDX-License-Identifier: MIT
#include "mount/serve.h"

#include "base/inherited_fds.h"
#include "mount/daemon.h"
#include "mount/meeting_point.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/notifier.h"
#include "mount/sharing.h"
#include "mount/unmount.h"

namespace squenv::mount {

namespace {

/// Everything that can fail in front of the user.
Result<Opened> open_and_mount(const MountRequest& request) {
    SQUENV_TRY_ASSIGN(auto opened, open_request(request));
    SQUENV_TRY_ASSIGN(opened.mountpoint, canonical_mountpoint(request.mountpoint));
    SQUENV_TRY(prepare_mountpoint(opened.mountpoint));
    SQUENV_TRY_ASSIGN(auto mounted, mount_kernel(kernel_mount_of(request, opened), request.method));
    opened.device = std::move(mounted.device);
    return opened;
}

/// Those who run a command over this image shall find the mount and not make another.
Result<Service> service_of(const MountRequest& request, const std::string& mountpoint) {
    Service service;
    SQUENV_TRY_ASSIGN(const auto name, meeting_name_of(request, mountpoint));
    SQUENV_TRY_ASSIGN(auto listener, claim_meeting_point(name));
    if (listener) {
        SQUENV_TRY_ASSIGN(service.users, Users::create(std::move(*listener), {}, {}));
    }
    return service;
}

}  // namespace

Status serve(const MountRequest& request) {
    guard_standard_fds();
    const auto foreign = inherited_descriptors();
    SQUENV_TRY_ASSIGN(auto notifier, Notifier::start(request.notify_pipe));
    auto opened = open_and_mount(request);
    Status status;
    if (!opened) {
        status = tl::unexpected(opened.error());
    } else {
        const std::string mountpoint = opened->mountpoint;
        const auto on_ready = [&] { notifier.tell(true); };
        auto service = service_of(request, mountpoint);
        if (!service) {
            status = tl::unexpected(service.error());
        } else if (request.is_foreground || request.trace) {
            status = start_log(request);
            if (status)
                status = run_daemon(request, std::move(*opened), std::move(*service), on_ready);
            log::stop();
        } else {
            status = start_daemon(request, std::move(*opened), std::move(*service), foreign,
                                  on_ready);
        }
        if (!status) (void)unmount(mountpoint, UnmountMode::lazy);
    }
    if (!status) notifier.tell(false);
    return status;
}

}  // namespace squenv::mount
