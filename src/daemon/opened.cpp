// SPDX-License-Identifier: MIT
#include "daemon/opened.h"

#include <unistd.h>

#include "base/paths.h"
#include "mount/connection.h"
#include "mount/mountpoint.h"
#include "mount/unmount.h"
#include "system/mount_table.h"
#include "system/namespaces.h"

namespace squenv::daemon {

Status open_view(const Request& request, Opened& opened) {
    SQUENV_TRY_ASSIGN(opened.image, image::Image::open(request.file, request.image));
    auto file_system = fuse::FileSystem::create(*opened.image, opened.view);
    if (!file_system) return with_context(file_system.error(), request.image_path);
    opened.file_system = std::make_unique<fuse::FileSystem>(std::move(*file_system));
    return {};
}

Result<Opened> open_request(const Request& request) {
    Opened opened;
    fuse::ViewOptions& view = opened.view = request.view;
    const bool may_read_all = ::geteuid() == 0 && system::is_initial_user_namespace();
    if (!request.allow_other && !view.uid && !may_read_all) view.reader = ::geteuid();
    if (!request.allow_other && request.allow_root) view.root_owner = ::geteuid();
    SQUENV_TRY(open_view(request, opened));
    opened.identity = content_identity(request);
    opened.image_name = real_path(request.image_path);
    return opened;
}

mount::KernelMount kernel_mount_of(const Request& request, const Opened& opened) {
    mount::KernelMount kernel;
    kernel.mountpoint = opened.mountpoint;
    kernel.source = request.source_name.empty() ? opened.image_name : request.source_name;
    kernel.subtype = request.subtype;
    kernel.allow_other = request.allow_other || request.allow_root;
    // Owners that were made up say nothing of what the one user of the mount may do.
    kernel.default_permissions = kernel.allow_other || !request.view.uid;
    kernel.noexec = request.noexec;
    return kernel;
}

Result<Supervisor> mount_in_place(const Request& request, Opened& opened, int held_fd) {
    SQUENV_TRY_ASSIGN(auto supervisor,
                      Supervisor::start({opened.mountpoint, 0, opened.hold.created, held_fd}));
    auto mounted = mount::mount_kernel(kernel_mount_of(request, opened), request.method);
    if (!mounted) {
        supervisor.dismiss();
        return tl::unexpected(mounted.error());
    }
    opened.device = std::move(mounted->device);
    // A directory above the mount may have been renamed by now, so its path is asked last.
    opened.device_minor = mount::connection_of(opened.device.get());
    if (opened.device_minor == 0) opened.device_minor = system::minor_at(opened.mountpoint);
    auto alone = mount::check_unoccupied(opened.mountpoint, opened.device_minor);
    if (!alone) {
        supervisor.dismiss();
        (void)mount::unmount(opened.mountpoint, mount::UnmountMode::lazy);
        return tl::unexpected(alone.error());
    }
    supervisor.mounted(opened.device_minor);
    return supervisor;
}

}  // namespace squenv::daemon
