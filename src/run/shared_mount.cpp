// SPDX-License-Identifier: MIT
#include "run/shared_mount.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "daemon/daemon.h"
#include "mount/connection.h"
#include "mount/live_statistics.h"
#include "mount/mountpoint.h"
#include "mount/userns_mounts.h"
#include "share/members.h"
#include "share/rendezvous.h"
#include "system/mount_table.h"
#include "system/signal_block.h"

namespace squenv::run {

namespace {

bool is_visible(const std::string& mountpoint, std::uint32_t device_minor) {
    const auto entry = system::find_mount(mountpoint);
    return device_minor == 0 || (entry && *entry && (*entry)->device_minor == device_minor);
}

Status make_mountpoint(daemon::Opened& opened) {
    SQUENV_TRY(mount::clear_mountpoint(opened.mountpoint));
    SQUENV_TRY_ASSIGN(opened.hold, mount::hold_mountpoint(opened.mountpoint));
    return mount::check_mountpoint(opened.mountpoint);
}

Result<share::Membership> serve_in_place(const daemon::Request& request,
                                         daemon::RequestFiles& files, daemon::Opened opened,
                                         UniqueFd listener, std::vector<int> inherited_fds) {
    SQUENV_TRY_ASSIGN(auto supervisor, daemon::mount_in_place(request, opened, listener.get()));
    SQUENV_TRY_ASSIGN(auto first, share::FirstMember::create());
    inherited_fds.push_back(first.ours.get());
    daemon::Service service{std::move(supervisor), daemon::Lifetime::while_used, {}, {}};
    SQUENV_TRY_ASSIGN(service.members,
                      share::Members::create(std::move(listener), std::move(first.member), {}));
    // A daemon that fails leaves the mount to its supervisor.
    SQUENV_TRY(
        daemon::start_daemon(request, files, std::move(opened), std::move(service), inherited_fds));
    return share::Membership{std::move(first.ours), {}, 0, true};
}

Result<share::Membership> lead_in_place(const daemon::Request& request, daemon::RequestFiles& files,
                                        const std::string& mountpoint, UniqueFd listener,
                                        const std::vector<int>& inherited_fds) {
    SQUENV_TRY_ASSIGN(auto opened, daemon::open_request(request));
    SQUENV_TRY(files.begin(request, *opened.image));
    opened.mountpoint = mountpoint;
    const auto status = make_mountpoint(opened);
    const auto created = opened.hold.created;
    auto membership = status ? serve_in_place(request, files, std::move(opened),
                                              std::move(listener), inherited_fds)
                             : Result<share::Membership>(tl::unexpected(status.error()));
    if (!membership) mount::remove_mountpoint(created);
    return membership;
}

/// Opens what is mounted from an image; a bound tree needs no daemon.
Result<std::vector<daemon::Opened>> open_all(const std::vector<PlacedRequest>& placed) {
    std::vector<daemon::Opened> all;
    for (const auto& [request, files, mountpoint, tree] : placed) {
        daemon::Opened opened;
        if (tree.empty()) {
            SQUENV_TRY_ASSIGN(opened, daemon::open_request(request));
            SQUENV_TRY(files->begin(request, *opened.image));
        }
        opened.mountpoint = mountpoint;
        if (tree.empty())
            opened.hold = mount::hold_for_userns(mountpoint);
        else if (system::has_fuse_mount(mountpoint))
            (void)mount::clear_mountpoint(mountpoint);
        all.push_back(std::move(opened));
    }
    return all;
}

system::Namespaces duplicate(const system::Namespaces& namespaces) {
    return {UniqueFd(::fcntl(namespaces.user.get(), F_DUPFD_CLOEXEC, 3)),
            UniqueFd(::fcntl(namespaces.mount.get(), F_DUPFD_CLOEXEC, 3))};
}

/// What only the daemon of that image shall hold.
void add_descriptors(const PlacedRequest& placed, std::vector<int>& hidden) {
    hidden.push_back(placed.request.file->descriptor());
    const auto files = placed.files->descriptors();
    hidden.insert(hidden.end(), files.begin(), files.end());
}

/// Starts the daemon of each image, the first one with the users.
Status serve_in_userns(const std::vector<PlacedRequest>& placed, std::vector<daemon::Opened> all,
                       mount::UsernsMounts& mounts, UniqueFd listener, share::Member first,
                       const std::vector<int>& inherited_fds) {
    // The first daemon takes `listener` and `first`: none is left for the others.
    // NOLINTBEGIN(bugprone-use-after-move)
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!placed[i].tree.empty()) continue;
        all[i].device = std::move(mounts.devices[i]);
        all[i].device_minor = mounts.minors[i];
        all[i].is_in_namespace = true;
        SQUENV_TRY_ASSIGN(
            auto supervisor,
            daemon::Supervisor::start({{}, mounts.minors[i], all[i].hold.created, listener.get()}));
        daemon::Service service{std::move(supervisor),
                                daemon::Lifetime::with_namespace,
                                {},
                                duplicate(mounts.namespaces)};
        if (first.connection) {
            SQUENV_TRY_ASSIGN(service.members,
                              share::Members::create(std::move(listener), std::move(first),
                                                     duplicate(mounts.namespaces)));
        }
        // The daemon must not keep this process's descriptors of the namespaces, nor the
        // connections of the others.
        auto hidden = inherited_fds;
        hidden.push_back(mounts.namespaces.user.get());
        hidden.push_back(mounts.namespaces.mount.get());
        for (const auto& device : mounts.devices)
            if (device) hidden.push_back(device.get());
        for (const auto& other : placed)
            if (&other != &placed[i]) add_descriptors(other, hidden);
        SQUENV_TRY(daemon::start_daemon(placed[i].request, *placed[i].files, std::move(all[i]),
                                        std::move(service), hidden));
    }
    // NOLINTEND(bugprone-use-after-move)
    return {};
}

bool wants_overlay(const PlacedRequest& placed) {
    return placed.request.overlay != daemon::Overlay::off;
}

bool needs_overlay(const PlacedRequest& placed) {
    return placed.request.overlay == daemon::Overlay::on;
}

Result<share::Membership> create_and_serve(const std::vector<PlacedRequest>& placed,
                                           std::vector<daemon::Opened> all,
                                           const std::vector<mount::UsernsMount>& wanted,
                                           UniqueFd listener, std::vector<int> inherited_fds) {
    SQUENV_TRY_ASSIGN(auto mounts, mount::make_userns_mounts(wanted));
    SQUENV_TRY_ASSIGN(auto first, share::FirstMember::create());
    inherited_fds.push_back(first.ours.get());
    if (mounts.overlays) inherited_fds.push_back(mounts.overlays.get());
    SQUENV_TRY(serve_in_userns(placed, std::move(all), mounts, std::move(listener),
                               std::move(first.member), inherited_fds));
    const auto overlaid = mount::await_overlays(mounts);
    if (!overlaid && std::any_of(placed.begin(), placed.end(), needs_overlay))
        return with_context(overlaid.error(), "option overlay");
    return share::Membership{std::move(first.ours), std::move(mounts.namespaces), 0, true};
}

/// The form that the command line takes.
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

Result<share::Membership> lead_privately(const std::vector<PlacedRequest>& placed,
                                         UniqueFd listener, const std::vector<int>& inherited_fds) {
    SQUENV_TRY(check_nesting(placed));
    SQUENV_TRY_ASSIGN(auto all, open_all(placed));
    std::vector<mount::UsernsMount> wanted;
    for (std::size_t i = 0; i < all.size(); ++i)
        wanted.push_back({daemon::kernel_mount_of(placed[i].request, all[i]), placed[i].tree, false,
                          placed[i].tree.empty() && wants_overlay(placed[i])});
    std::vector<std::vector<std::string>> created;
    for (const auto& opened : all) created.push_back(opened.hold.created);
    auto membership =
        create_and_serve(placed, std::move(all), wanted, std::move(listener), inherited_fds);
    if (!membership)
        for (const auto& directories : created) mount::remove_mountpoint(directories);
    return membership;
}

}  // namespace

Result<share::Membership> share_mount(const daemon::Request& request, daemon::RequestFiles& files,
                                      const std::string& mountpoint,
                                      const std::vector<int>& inherited_fds) {
    const auto name = daemon::rendezvous_name_of(request, mountpoint);
    const auto lead = [&](UniqueFd listener) {
        const system::SignalBlock block;
        return lead_in_place(request, files, mountpoint, std::move(listener), inherited_fds);
    };
    const auto bury = [&] {
        // Another run may have put a living mount there meanwhile.
        const auto entry = system::find_mount(mountpoint);
        if (entry && *entry && (*entry)->is_squenv() &&
            !mount::query_statistics(mountpoint, mount::kQueryTimeout, &**entry))
            (void)mount::abort_connection((*entry)->device_minor);
    };
    SQUENV_TRY_ASSIGN(auto membership, share::join_or_lead(name, lead, bury));
    if (membership.is_new || is_visible(mountpoint, membership.device_minor)) return membership;
    // The joined mount was detached, moved or covered, and serves only those that have it open.
    return lead({});
}

Result<share::Membership> share_userns_mounts(const std::vector<PlacedRequest>& placed,
                                              const std::vector<int>& inherited_fds) {
    SQUENV_TRY(system::check_single_thread());
    std::vector<share::SharedMount> mounts;
    bool has_tree = false;
    for (const auto& one : placed) {
        mounts.push_back(daemon::shared_mount(one.request, one.mountpoint));
        if (wants_overlay(one)) mounts.back().view += " overlay";
        has_tree = has_tree || !one.tree.empty();
    }
    const auto lead = [&](UniqueFd listener) {
        const system::SignalBlock block;
        return lead_privately(placed, std::move(listener), inherited_fds);
    };
    if (has_tree) return lead({});
    return share::join_or_lead(share::rendezvous_name(mounts, "private"), lead, [] {});
}

}  // namespace squenv::run
