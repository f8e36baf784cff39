// SPDX-License-Identifier: MIT
#include "run/methods.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <nlohmann/json.hpp>
#include <utility>

#include "cache/cache_directory.h"
#include "cache/entry.h"
#include "cache/tree_cache.h"
#include "mount/answer.h"
#include "mount/live_statistics.h"
#include "run/item.h"
#include "run/refusals.h"
#include "run/shared_mount.h"
#include "run/tree_link.h"
#include "run/trial.h"
#include "share/members.h"
#include "system/mount_table.h"

namespace squenv::run {

namespace {

/// Above the numbers that shells and scripts use.
constexpr int kFirstKeptDescriptor = 200;

/// Whether a run of this user shows the image at its path by a link to the tree that it unpacked.
bool is_unpacked_there(const Item& item) {
    const auto link = find_tree_link(item.link_path());
    if (!link || !link->entry.starts_with(cache::cache_path() + '/')) return false;
    const auto record = cache::read_record(link->entry);
    return record && record->image == item.placement.image;
}

/// True for what no other method can mend: an error of a check, not of a system call.
bool is_final(const Error& error) {
    return error.code == Errc::corrupt || error.code == Errc::unsupported ||
           (error.code == Errc::invalid_argument && error.sys_errno == 0);
}

bool has_failed_files(const std::vector<Item*>& items) {
    return std::any_of(items.begin(), items.end(),
                       [](const Item* item) { return item->files.has_failed(); });
}

std::string identity_in(const std::string& statistics) {
    const auto answer = mount::parse_answer(statistics);
    return answer ? mount::text_in(*answer, "identity").value_or("") : "";
}

class Methods {
  public:
    Methods(mount::Method via, std::vector<int> inherited_fds)
        : via_(via), inherited_fds_(std::move(inherited_fds)) {}

    Result<HeldMounts> obtain_mounts(const std::vector<Wanted>& wanted);
    std::vector<Attempt> attempt(const Wanted& wanted);

  private:
    [[nodiscard]] bool may_use(mount::Method method) const {
        return via_ == mount::Method::automatic || via_ == method;
    }
    /// What the daemon that serves `served` must not keep, the files of the other items among it.
    [[nodiscard]] std::vector<int> inherited_fds(const std::vector<const Item*>& served) const;
    void done(Item& item, mount::Method method, bool is_new) {
        item.placement.method = method;
        item.placement.is_new = is_new;
        item.is_done = true;
    }
    Status unpack_left(const std::vector<Item*>& items);
    Status mount_in_place(Item& item);
    Status mount_in_userns(std::vector<Item*> items);
    void use_as_it_is(Item& item);
    Status unpack(Item& item);
    void bind_trees(const std::vector<Item*>& items);
    Status give_up(const Item& item) const;

    mount::Method via_;
    std::vector<int> inherited_fds_;
    std::vector<Item> items_;
    HeldMounts held_;
};

std::vector<int> Methods::inherited_fds(const std::vector<const Item*>& served) const {
    auto all = inherited_fds_;
    const auto ours = held_.descriptors();
    all.insert(all.end(), ours.begin(), ours.end());
    for (const auto& item : items_) {
        if (std::find(served.begin(), served.end(), &item) != served.end()) continue;
        all.push_back(item.wanted.request.file->descriptor());
        const auto files = item.files.descriptors();
        all.insert(all.end(), files.begin(), files.end());
    }
    return all;
}

Status Methods::mount_in_place(Item& item) {
    daemon::Request request = item.wanted.request;
    request.method = via_;
    auto membership =
        share_mount(request, item.files, item.placement.mountpoint, inherited_fds({&item}));
    const mount::Method method = via_ == mount::Method::automatic && mount::may_mount_directly()
                                     ? mount::Method::direct
                                 : via_ == mount::Method::automatic ? mount::Method::fusermount
                                                                    : via_;
    if (!membership) {
        if (is_final(membership.error()) || item.files.has_failed())
            return tl::unexpected(membership.error());
        item.refuse(method, membership.error());
        return {};
    }
    done(item, method, membership->is_new);
    held_.keep(std::move(*membership));
    return {};
}

Status Methods::mount_in_userns(std::vector<Item*> items) {
    std::vector<PlacedRequest> placed;
    for (Item* item : items) placed.push_back(item->placed());
    auto membership = share_userns_mounts(placed, inherited_fds({items.begin(), items.end()}));
    if (!membership) {
        if (is_final(membership.error()) || has_failed_files(items))
            return tl::unexpected(membership.error());
        for (Item* item : items) item->refuse(mount::Method::userns, membership.error());
        return {};
    }
    for (Item* item : items) done(*item, mount::Method::userns, membership->is_new);
    held_.keep(std::move(*membership));
    return {};
}

/// Uses an existing mount of the same image, whose processes may end before this one. A new mount
/// would take the image from them.
void Methods::use_as_it_is(Item& item) {
    const auto entry = system::find_mount(item.placement.mountpoint);
    if (!entry || !*entry || !(*entry)->is_squenv()) return;
    // The mount itself reports the identity.
    if (!(*entry)->is_trusted_by(::geteuid())) return;
    const auto statistics =
        mount::query_statistics(item.placement.mountpoint, mount::kQueryTimeout, &**entry);
    const auto identity = daemon::content_identity(item.wanted.request);
    if (!statistics || identity_in(*statistics) != identity) return;
    done(item, mount::Method::automatic, false);
    item.placement.note = "mounted there by another job or container, with which it will end";
}

/// Unpacks, and puts the tree at its path where that is free; `is_done` tells the outcome.
Status Methods::unpack(Item& item) {
    const daemon::Request& request = item.wanted.request;
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.file, request.image));
    auto tree = cache::obtain_tree(item.placement.image, *image);
    if (!tree) {
        item.refuse(mount::Method::extract, tree.error());
        return {};
    }
    item.placement.tree = tree->path;
    if (!request.view.subdirectory.empty()) item.placement.tree += '/' + request.view.subdirectory;
    item.placement.is_new = tree->is_new;
    if (tree->is_new)
        item.placement.note =
            "unpacked into " + item.placement.tree +
            (via_ == mount::Method::automatic ? ", because nothing can be mounted here" : "");
    TreeLink link{item.placement.tree, item.link_path(), tree->entry, tree->lock.get()};
    auto membership = link_tree(link, inherited_fds({}));
    item.is_done = membership.has_value() && !item.is_inside;
    if (!membership) {
        item.refuse(mount::Method::extract, membership.error());
        link.path.clear();
        membership = link_tree(link, inherited_fds({}));
        // The other methods keep their reasons, too.
        if (!membership) {
            item.refuse(mount::Method::extract, membership.error());
            return {};
        }
    }
    item.placement.method = mount::Method::extract;
    held_.keep(std::move(*membership));
    return {};
}

/// Shows trees in a namespace that could not be linked at their paths. When that fails, relocatable
/// trees are used from where they are.
void Methods::bind_trees(const std::vector<Item*>& items) {
    std::vector<PlacedRequest> bound;
    for (Item* item : items) {
        bound.push_back(item->placed());
        bound.back().tree = item->placement.tree;
    }
    auto membership = share_userns_mounts(bound, inherited_fds({}));
    for (Item* item : items) {
        item->is_done = membership.has_value() || item->wanted.is_relocatable;
        if (!membership && item->is_done) {
            item->placement.mountpoint = item->placement.tree;
            item->placement.note =
                "used from " + item->placement.tree + ": nothing can be put at its own path here";
        }
        if (!item->is_done) item->refuse("bind mount", membership.error());
    }
    if (membership) held_.keep(std::move(*membership));
}

Status Methods::give_up(const Item& item) const {
    const std::string& image = item.placement.image;
    const std::string& place = item.placement.mountpoint;
    return fail(Errc::environment,
                refusal_text(fmt::format("{}: no way to have it at {}", image, place), item.reasons,
                             fmt::format("'squenv doctor {} {}' tests each way", image, place)));
}

/// Outer images first, so that in one namespace the inner ones are bound onto them.
Status Methods::unpack_left(const std::vector<Item*>& items) {
    std::vector<Item*> unpacked;
    for (Item* item : items) {
        if (!item->is_done && via_ == mount::Method::automatic) use_as_it_is(*item);
        if (!item->is_done && may_use(mount::Method::extract) &&
            item->is_fit(mount::Method::extract) && can_be_unpacked(*item))
            SQUENV_TRY(unpack(*item));
        if (!item->is_done && item->placement.method == mount::Method::extract)
            unpacked.push_back(item);
    }
    if (!unpacked.empty()) bind_trees(unpacked);
    return {};
}

Result<HeldMounts> Methods::obtain_mounts(const std::vector<Wanted>& wanted) {
    for (const auto& one : wanted) {
        SQUENV_TRY_ASSIGN(auto item, make_item(one));
        items_.push_back(std::move(item));
    }
    const auto order = outer_first(items_);
    const bool in_place = may_use(mount::Method::direct) || may_use(mount::Method::fusermount);
    for (Item* item : order) {
        // A mount over the link would go with the run that made it.
        if (via_ == mount::Method::automatic && item->fitness(mount::Method::extract) &&
            is_unpacked_there(*item))
            SQUENV_TRY(unpack(*item));
        if (in_place && !item->is_done) SQUENV_TRY(mount_in_place(*item));
    }
    survey(order);
    std::vector<Item*> left;
    for (Item* item : order)
        if (!item->is_done && may_use(mount::Method::userns) && item->is_fit(mount::Method::userns))
            left.push_back(item);
    if (!left.empty()) SQUENV_TRY(mount_in_userns(left));
    SQUENV_TRY(unpack_left(order));
    for (const auto& item : items_)
        if (!item.is_done) SQUENV_TRY(give_up(item));
    for (auto& item : items_) held_.placements.push_back(std::move(item.placement));
    return std::move(held_);
}

/// Several reasons of one method as one.
Error as_one(const std::vector<Refusal>& reasons) {
    if (reasons.size() == 1) return reasons.front().error;
    Error first = reasons.front().error;
    std::string hint = std::exchange(first.hint, {});
    std::string text = first.message();
    for (std::size_t i = 1; i < reasons.size(); ++i)
        text += ", and " + reasons[i].way + ": " + reasons[i].error.message();
    return Error{first.code, 0, std::move(text), std::move(hint)};
}

/// The result of `method`, as the note of a success.
Result<std::string> attempt_one(Item& item, mount::Method method) {
    const auto& [request, is_relocatable] = item.wanted;
    const std::string& place = item.placement.mountpoint;
    SQUENV_TRY(item.fitness(method));
    if (method == mount::Method::direct || method == mount::Method::fusermount)
        return try_in_place(request, place, method);
    if (method == mount::Method::userns) {
        SQUENV_TRY(try_in_namespace(request, place));
        return std::string();
    }
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.file, request.image));
    item.reasons.clear();
    if (!can_be_unpacked(item)) return tl::unexpected(as_one(item.reasons));
    SQUENV_TRY(cache::check_room(request.image_path, *image));
    if (is_relocatable && !check_tree_place(place))
        return std::string("used from the cache, not from its path");
    return std::string();
}

std::vector<Attempt> Methods::attempt(const Wanted& wanted) {
    std::vector<Attempt> attempts;
    auto item = make_item(wanted);
    std::optional<Error> end;  // what ends obtain_mounts(), whatever the method
    if (!item)
        end = item.error();
    else
        survey({&*item});
    for (const mount::Method method : mount::kMethods) {
        if (method == mount::Method::automatic) continue;
        Attempt made{method, end, {}};
        if (!end) {
            auto note = attempt_one(*item, method);
            if (note)
                made.note = std::move(*note);
            else
                made.refusal = note.error();
            if (!note && is_final(note.error())) end = note.error();
        }
        attempts.push_back(std::move(made));
    }
    const bool has_way = std::any_of(attempts.begin(), attempts.end(),
                                     [](const Attempt& made) { return !made.refusal; });
    if (has_way || end) return attempts;
    use_as_it_is(*item);
    if (item->is_done) attempts.push_back({mount::Method::automatic, {}, item->placement.note});
    return attempts;
}

}  // namespace

void HeldMounts::keep(share::Membership membership) {
    kept_.push_back(std::move(membership.connection));
    if (membership.namespaces) namespaces_ = std::move(membership.namespaces);
}

void HeldMounts::pass_to(pid_t process) const {
    for (const auto& connection : kept_)
        if (connection) share::pass_membership(connection.get(), process);
}

std::vector<int> HeldMounts::descriptors() const {
    std::vector<int> all;
    for (const auto& fd : kept_)
        if (fd) all.push_back(fd.get());
    for (const int fd : {namespaces_.user.get(), namespaces_.mount.get(), namespaces_.root.get()})
        if (fd >= 0) all.push_back(fd);
    return all;
}

Status HeldMounts::settle(const std::function<Status()>& inside) {
    std::array<char, PATH_MAX> directory;
    const bool has_directory = ::getcwd(directory.data(), directory.size()) != nullptr;
    if (inside && !namespaces_)
        return fail(Errc::internal, "the images are in no namespace of their own");
    if (namespaces_) {
        // Without a user namespace the capabilities are the process's own.
        const bool has_new_capabilities = system::has_other_user(namespaces_);
        SQUENV_TRY(system::join_namespaces(namespaces_));
        if (inside) SQUENV_TRY(inside());
        if (has_new_capabilities) SQUENV_TRY(system::drop_all_capabilities());
    } else if (has_directory && directory[0] == '/') {
        // The working directory may be below a path that is now mounted over.
        (void)!::chdir(directory.data());
    }
    for (auto& fd : kept_) {
        if (!fd) continue;
        int high = ::fcntl(fd.get(), F_DUPFD, kFirstKeptDescriptor);
        if (high < 0) high = ::fcntl(fd.get(), F_DUPFD, 3);
        if (high < 0) return fail_errno(errno, "descriptor");
        fd.reset(high);
    }
    return {};
}

Result<HeldMounts> obtain_mounts(const std::vector<Wanted>& wanted, mount::Method via,
                                 std::vector<int> inherited_fds) {
    return Methods(via, std::move(inherited_fds)).obtain_mounts(wanted);
}

std::vector<Attempt> attempt(const Wanted& wanted) {
    return Methods(mount::Method::automatic, {}).attempt(wanted);
}

}  // namespace squenv::run
