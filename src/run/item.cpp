// SPDX-License-Identifier: MIT
#include "run/item.h"

#include <algorithm>

#include "mount/mountpoint.h"
#include "run/tree_link.h"
#include "run/trial.h"
#include "system/mount_table.h"

namespace squenv::run {

namespace {

/// Fails when `request` asks for something that `method` cannot do.
Status check_fitness(mount::Method method, const daemon::Request& request) {
    const bool is_alone = method == mount::Method::userns || method == mount::Method::extract;
    if (is_alone && (request.allow_other || request.allow_root))
        return fail(Errc::environment,
                    "nobody else would see it, as allow_other and allow_root ask");
    if (method == mount::Method::extract && request.noexec)
        return fail(Errc::environment, "programs of an unpacked image can be run, against noexec");
    if (method == mount::Method::extract && !request.record_path.empty())
        return fail(Errc::environment, "of an unpacked image nothing can be recorded");
    return {};
}

/// Canonical. A link of this program at the path counts as the path, not as the tree it shows.
Result<std::string> place_of(const std::string& path) {
    if (auto link = find_tree_link(path)) return std::move(link->place);
    return system::canonical_mountpoint(path);
}

}  // namespace

Status Item::fitness(mount::Method method) const {
    return check_fitness(method, wanted.request);
}

bool Item::is_fit(mount::Method method) {
    const auto status = fitness(method);
    if (!status) refuse(method, status.error());
    return status.has_value();
}

Result<Item> make_item(const Wanted& wanted) {
    Item item;
    item.wanted = wanted;
    item.placement.image = wanted.request.image_path;
    SQUENV_TRY_ASSIGN(item.placement.mountpoint, place_of(wanted.request.mountpoint));
    SQUENV_TRY(mount::check_place(item.placement.mountpoint));
    SQUENV_TRY(daemon::open_image(item.wanted.request));
    SQUENV_TRY_ASSIGN(item.files, daemon::RequestFiles::open(item.wanted.request));
    item.placement.tree = item.placement.mountpoint;
    return item;
}

std::vector<Item*> outer_first(std::vector<Item>& items) {
    std::vector<Item*> order;
    for (auto& item : items) order.push_back(&item);
    std::sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
        return a->placement.mountpoint < b->placement.mountpoint;
    });
    return order;
}

void survey(const std::vector<Item*>& items) {
    for (Item* item : items) {
        if (item->is_done) continue;
        const std::string& place = item->placement.mountpoint;
        item->is_inside = std::any_of(items.begin(), items.end(), [&place](const Item* outer) {
            return !outer->is_done && place.starts_with(outer->placement.mountpoint + '/');
        });
    }
}

bool can_be_unpacked(Item& item) {
    if (const auto status = check_cache(); !status) {
        item.refuse(mount::Method::extract, status.error());
        return false;
    }
    if (item.wanted.is_relocatable || item.is_inside) return true;
    const std::string& place = item.placement.mountpoint;
    const auto status = check_tree_place(place);
    if (status) return true;
    if (const auto link = check_link(place); !link)
        item.refuse(mount::Method::extract, link.error());
    item.refuse("bind mount", status.error());
    return false;
}

}  // namespace squenv::run
