// SPDX-License-Identifier: MIT
#include "mount/sharing.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/escape.h"
#include "mount/connection.h"
#include "mount/daemon.h"
#include "mount/live_statistics.h"
#include "mount/meeting_point.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/private_mounts.h"
#include "mount/signal_block.h"
#include "mount/users.h"

namespace squenv::mount {

namespace {

/// Everything of a request that decides what the mounted tree looks like.
std::string view_of(const MountRequest& request) {
    const auto number = [](const auto& id) { return id ? std::to_string(*id) : std::string("-"); };
    return fmt::format("{} {} {} {} {} {} {} {} {} {}", request.image.offset,
                       request.image.find_offset, number(request.view.uid),
                       number(request.view.gid), number(request.view.umask), request.allow_other,
                       request.allow_root, request.noexec,
                       request.view.subdirectory, request.record_path);
}

Result<SharedMount> shared_mount(const MountRequest& request, const std::string& mountpoint) {
    SQUENV_TRY_ASSIGN(const auto identity, identify(request.image_path));
    return SharedMount{identity, view_of(request), mountpoint};
}

bool is_visible(const std::string& mountpoint, std::uint32_t device_minor) {
    const auto entry = find_mount(mountpoint);
    return device_minor == 0 || (entry && *entry && (*entry)->device_minor == device_minor);
}

Status make_mountpoint(Opened& opened) {
    SQUENV_TRY(clear_mountpoint(opened.mountpoint));
    SQUENV_TRY_ASSIGN(opened.hold, hold_mountpoint(opened.mountpoint));
    return check_mountpoint(opened.mountpoint);
}

Result<Lease> serve_in_place(const MountRequest& request, Opened opened, UniqueFd listener,
                             std::vector<int> foreign) {
    SQUENV_TRY_ASSIGN(auto keeper, mount_in_place(request, opened, listener.get()));
    SQUENV_TRY_ASSIGN(auto first, FirstUser::create());
    foreign.push_back(first.ours.get());
    Service service{std::move(keeper), Lifetime::while_used, {}, {}, opened.device_minor};
    SQUENV_TRY_ASSIGN(service.users,
                      Users::create(std::move(listener), std::move(first.user), {}));
    // A daemon that fails leaves the mount to its keeper.
    SQUENV_TRY(start_daemon(request, std::move(opened), std::move(service), foreign, [] {}));
    return Lease{std::move(first.ours), {}, 0, true};
}

Result<Lease> lead_in_place(const MountRequest& request, const std::string& mountpoint,
                            UniqueFd listener, const std::vector<int>& foreign) {
    SQUENV_TRY_ASSIGN(auto opened, open_request(request));
    opened.mountpoint = mountpoint;
    const auto status = make_mountpoint(opened);
    const auto created = opened.hold.created;
    auto lease = status ? serve_in_place(request, std::move(opened), std::move(listener), foreign)
                        : Result<Lease>(tl::unexpected(status.error()));
    if (!lease) remove_mountpoint(created);
    return lease;
}

/// Opens what is mounted from an image; what is shown from a tree needs no daemon.
Result<std::vector<Opened>> open_all(const std::vector<PlacedRequest>& placed) {
    std::vector<Opened> all;
    for (const auto& [request, mountpoint, tree] : placed) {
        Opened opened;
        if (tree.empty()) {
            SQUENV_TRY_ASSIGN(opened, open_request(request));
        }
        opened.mountpoint = mountpoint;
        if (tree.empty())
            opened.hold = hold_for_private(mountpoint);
        else if (has_fuse_mount(mountpoint))
            (void)clear_mountpoint(mountpoint);
        all.push_back(std::move(opened));
    }
    return all;
}

Namespaces duplicate(const Namespaces& namespaces) {
    return {UniqueFd(::fcntl(namespaces.user.get(), F_DUPFD_CLOEXEC, 3)),
            UniqueFd(::fcntl(namespaces.mount.get(), F_DUPFD_CLOEXEC, 3))};
}

/// Starts the daemon of each image, the first one with the users.
Status serve_privately(const std::vector<PlacedRequest>& placed, std::vector<Opened> all,
                       PrivateMounts& mounts, UniqueFd listener, User first,
                       const std::vector<int>& foreign) {
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!placed[i].tree.empty()) continue;
        all[i].device = std::move(mounts.devices[i]);
        SQUENV_TRY_ASSIGN(auto keeper, Keeper::start({{}, mounts.minors[i], all[i].hold.created,
                                                      listener.get()}));
        Service service{std::move(keeper), Lifetime::with_namespace, {},
                        duplicate(mounts.namespaces), mounts.minors[i]};
        if (first.connection) {
            service.lifetime = Lifetime::while_used;
            SQUENV_TRY_ASSIGN(service.users,
                              Users::create(std::move(listener), std::move(first),
                                            duplicate(mounts.namespaces)));
        }
        // Not a daemon's to keep: our hold on the namespaces, and the connections of the others.
        auto hidden = foreign;
        hidden.push_back(mounts.namespaces.user.get());
        hidden.push_back(mounts.namespaces.mount.get());
        for (const auto& device : mounts.devices)
            if (device) hidden.push_back(device.get());
        SQUENV_TRY(start_daemon(placed[i].request, std::move(all[i]), std::move(service), hidden,
                                [] {}));
    }
    return {};
}

Result<Lease> found_and_serve(const std::vector<PlacedRequest>& placed, std::vector<Opened> all,
                              const std::vector<PrivateMount>& wanted, UniqueFd listener,
                              std::vector<int> foreign) {
    SQUENV_TRY_ASSIGN(auto mounts, make_private_mounts(wanted));
    SQUENV_TRY_ASSIGN(auto first, FirstUser::create());
    foreign.push_back(first.ours.get());
    SQUENV_TRY(serve_privately(placed, std::move(all), mounts, std::move(listener),
                               std::move(first.user), foreign));
    return Lease{std::move(first.ours), std::move(mounts.namespaces), 0, true};
}

/// As the command line takes it.
std::string listed(const PlacedRequest& placed) {
    return escaped(placed.request.image_path, ",:") + ':' + escaped(placed.mountpoint, ",:");
}

/// Nothing can be mounted in an image whose daemon does not run yet; an unpacked one has none.
Status check_nesting(const std::vector<PlacedRequest>& placed) {
    for (const auto& outer : placed)
        for (const auto& inner : placed)
            if (outer.tree.empty() && inner.mountpoint.starts_with(outer.mountpoint + '/'))
                return fail(Errc::environment,
                            inner.mountpoint + ": lies in " + outer.mountpoint +
                                ", and both cannot be mounted in one namespace at once",
                            "run them one inside the other: squenv run " + listed(outer) +
                                " -- squenv run " + listed(inner) + " -- CMD");
    return {};
}

Result<Lease> lead_privately(const std::vector<PlacedRequest>& placed, UniqueFd listener,
                             const std::vector<int>& foreign) {
    SQUENV_TRY(check_nesting(placed));
    SQUENV_TRY_ASSIGN(auto all, open_all(placed));
    std::vector<PrivateMount> wanted;
    for (std::size_t i = 0; i < all.size(); ++i)
        wanted.push_back({kernel_mount_of(placed[i].request, all[i]), placed[i].tree});
    std::vector<std::vector<std::string>> created;
    for (const auto& opened : all) created.push_back(opened.hold.created);
    auto lease = found_and_serve(placed, std::move(all), wanted, std::move(listener), foreign);
    if (!lease)
        for (const auto& directories : created) remove_mountpoint(directories);
    return lease;
}

}  // namespace

Result<std::string> content_identity(const MountRequest& request) {
    SQUENV_TRY_ASSIGN(const auto image, identify(request.image_path));
    return fmt::format("{} {} {} {} {}", image.device, image.inode, image.size_bytes,
                       image.mtime_ns, view_of(request));
}

Result<std::string> meeting_name_of(const MountRequest& request, const std::string& mountpoint) {
    SQUENV_TRY_ASSIGN(auto mount, shared_mount(request, mountpoint));
    return meeting_name({std::move(mount)}, "in place");
}

Result<Lease> share_mount(const MountRequest& request, const std::string& mountpoint,
                          const std::vector<int>& foreign) {
    SQUENV_TRY_ASSIGN(const auto name, meeting_name_of(request, mountpoint));
    const auto lead = [&](UniqueFd listener) {
        const SignalBlock block;
        return lead_in_place(request, mountpoint, std::move(listener), foreign);
    };
    const auto bury = [&] {
        // Another run may have put a living mount there meanwhile.
        const auto entry = find_mount(mountpoint);
        if (entry && *entry && (*entry)->is_squenv() &&
            !query_statistics(mountpoint, kQueryTimeout, &**entry))
            (void)abort_connection((*entry)->device_minor);
    };
    SQUENV_TRY_ASSIGN(auto lease, join_or_lead(name, lead, bury));
    if (lease.is_new || is_visible(mountpoint, lease.device_minor)) return lease;
    // It was detached, moved or covered, and is served for those who have it open.
    return lead({});
}

Result<Lease> share_private_mounts(const std::vector<PlacedRequest>& placed,
                                   const std::vector<int>& foreign) {
    SQUENV_TRY(check_single_thread());
    std::vector<SharedMount> mounts;
    bool has_tree = false;
    for (const auto& [request, mountpoint, tree] : placed) {
        SQUENV_TRY_ASSIGN(auto mount, shared_mount(request, mountpoint));
        mounts.push_back(std::move(mount));
        has_tree = has_tree || !tree.empty();
    }
    const auto lead = [&](UniqueFd listener) {
        const SignalBlock block;
        return lead_privately(placed, std::move(listener), foreign);
    };
    if (has_tree) return lead({});
    return join_or_lead(meeting_name(mounts, "private"), lead, [] {});
}

}  // namespace squenv::mount
