// SPDX-License-Identifier: MIT
#include "edit/place.h"

#include <utility>

#include "mount/userns_mounts.h"
#include "run/item.h"
#include "run/refusals.h"
#include "run/tree_link.h"
#include "system/namespaces.h"

namespace squenv::edit {

namespace {

Result<share::Membership> bind_tree(const std::string& tree, const std::string& mountpoint) {
    SQUENV_TRY(system::check_single_thread());
    mount::UsernsMount wanted;
    wanted.kernel.mountpoint = mountpoint;
    wanted.bind_source = tree;
    wanted.is_writable = true;
    SQUENV_TRY_ASSIGN(auto made, mount::make_userns_mounts({wanted}));
    share::Membership membership;
    membership.namespaces = std::move(made.namespaces);
    return membership;
}

}  // namespace

Result<run::HeldMounts> place_tree(const run::Wanted& wanted, const Session& session,
                                   const UniqueFd& hold, std::vector<int> inherited_fds) {
    SQUENV_TRY_ASSIGN(auto item, run::make_item(wanted));
    // The process that keeps the link keeps this, too.
    std::erase(inherited_fds, hold.get());
    run::Placement placement = item.placement;
    placement.tree = session.tree();
    placement.method = mount::Method::extract;
    placement.is_new = true;
    run::HeldMounts held;
    if (auto bound = bind_tree(placement.tree, placement.mountpoint)) {
        held.keep(std::move(*bound));
    } else {
        item.refuse("bind mount", bound.error());
        const run::TreeLink link{placement.tree, placement.mountpoint, session.staging, hold.get()};
        auto linked = run::link_tree(link, inherited_fds);
        if (linked) {
            held.keep(std::move(*linked));
        } else if (wanted.is_relocatable) {
            placement.note = "edited in " + placement.tree + ", for nothing can be put at " +
                             std::exchange(placement.mountpoint, placement.tree) + " here";
        } else {
            item.refuse("link", linked.error());
            return fail(Errc::environment,
                        run::refusal_text(placement.image + ": no way to have it writable at " +
                                              placement.mountpoint,
                                          item.reasons, "'squenv doctor' tests each way to mount"));
        }
    }
    held.placements.push_back(std::move(placement));
    return held;
}

}  // namespace squenv::edit
