// SPDX-License-Identifier: MIT
#include "mount/provide.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <nlohmann/json.hpp>
#include <utility>

#include "cache/tree_cache.h"
#include "mount/answer.h"
#include "mount/item.h"
#include "mount/live_statistics.h"
#include "mount/mount_table.h"
#include "mount/refusals.h"
#include "mount/sharing.h"
#include "mount/shown_tree.h"
#include "mount/trial.h"

namespace squenv::mount {

namespace {

/// Above what shells and scripts use by number.
constexpr int kFirstKeptDescriptor = 200;

/// What another way to mount cannot mend: an error of our own checks, not of a system call.
bool is_final(const Error& error) {
    return error.code == Errc::corrupt || error.code == Errc::unsupported ||
           (error.code == Errc::invalid_argument && error.sys_errno == 0);
}

std::string identity_in(const std::string& statistics) {
    const auto answer = parse_answer(statistics);
    return answer ? text_in(*answer, "identity").value_or("") : "";
}

class Provider {
  public:
    Provider(Method via, std::vector<int> foreign) : via_(via), foreign_(std::move(foreign)) {}

    Result<Provision> provide(const std::vector<Wanted>& wanted);
    std::vector<Attempt> attempt(const Wanted& wanted);

  private:
    [[nodiscard]] bool may_use(Method method) const {
        return via_ == Method::automatic || via_ == method;
    }
    [[nodiscard]] std::vector<int> foreign() const {
        auto all = foreign_;
        const auto ours = provision_.descriptors();
        all.insert(all.end(), ours.begin(), ours.end());
        return all;
    }
    void done(Item& item, Method method, bool is_new) {
        item.placement.method = method;
        item.placement.is_new = is_new;
        item.is_done = true;
    }
    Status unpack_left(const std::vector<Item*>& items);
    Status mount_in_place(Item& item);
    Status mount_privately(std::vector<Item*> items);
    void use_as_it_is(Item& item);
    Status unpack(Item& item);
    void bind_trees(const std::vector<Item*>& items);
    Status give_up(const Item& item) const;

    Method via_;
    std::vector<int> foreign_;
    Provision provision_;
};

Status Provider::mount_in_place(Item& item) {
    MountRequest request = item.wanted->request;
    request.method = via_;
    auto lease = share_mount(request, item.placement.mountpoint, foreign());
    const Method method = via_ == Method::automatic && may_mount_directly() ? Method::direct
                          : via_ == Method::automatic                       ? Method::fusermount
                                                                            : via_;
    if (!lease) {
        if (is_final(lease.error())) return tl::unexpected(lease.error());
        item.refuse(method, lease.error());
        return {};
    }
    done(item, method, lease->is_new);
    provision_.keep(std::move(*lease));
    return {};
}

Status Provider::mount_privately(std::vector<Item*> items) {
    std::vector<PlacedRequest> placed;
    for (const Item* item : items) placed.push_back(item->placed());
    auto lease = share_private_mounts(placed, foreign());
    if (!lease) {
        if (is_final(lease.error())) return tl::unexpected(lease.error());
        for (Item* item : items) item->refuse(Method::userns, lease.error());
        return {};
    }
    for (Item* item : items) done(*item, Method::userns, lease->is_new);
    provision_.keep(std::move(*lease));
    return {};
}

/// The very image is mounted there by processes that may end before us, and we cannot mount it
/// anew without taking it from them. Better than nothing.
void Provider::use_as_it_is(Item& item) {
    const auto entry = find_mount(item.placement.mountpoint);
    if (!entry || !*entry || !(*entry)->is_squenv()) return;
    // The identity is what the mount itself says.
    if (!(*entry)->is_trusted_by(::geteuid())) return;
    const auto statistics = query_statistics(item.placement.mountpoint, kQueryTimeout);
    const auto identity = content_identity(item.wanted->request);
    if (!statistics || !identity || identity_in(*statistics) != *identity) return;
    done(item, Method::automatic, false);
    item.placement.note = "mounted there by another job or container, with which it will end";
}

/// Unpacks, and puts the tree at its path where that is free; `is_done` says whether it was.
Status Provider::unpack(Item& item) {
    const MountRequest& request = item.wanted->request;
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.image_path, request.image));
    auto tree = cache::obtain_tree(item.placement.image, *image);
    if (!tree) {
        item.refuse(Method::extract, tree.error());
        return {};
    }
    item.placement.tree = tree->path;
    if (!request.view.subdirectory.empty())
        item.placement.tree += '/' + request.view.subdirectory;
    item.placement.is_new = tree->is_new;
    if (tree->is_new)
        item.placement.note =
            "unpacked into " + item.placement.tree +
            (via_ == Method::automatic ? ", because nothing can be mounted here" : "");
    ShownTree shown{item.placement.tree, item.link_path(), tree->entry, tree->lock.get()};
    auto lease = share_tree(shown, foreign());
    item.is_done = lease.has_value() && !item.is_inside;
    if (!lease) {
        item.refuse(Method::extract, lease.error());
        shown.path.clear();
        lease = share_tree(shown, foreign());
        // The other methods have their reasons, too.
        if (!lease) {
            item.refuse(Method::extract, lease.error());
            return {};
        }
    }
    item.placement.method = Method::extract;
    provision_.keep(std::move(*lease));
    return {};
}

/// Shows trees that could not be linked at their paths in a namespace, or, when that cannot be,
/// lets those be used from where they are that can.
void Provider::bind_trees(const std::vector<Item*>& items) {
    std::vector<PlacedRequest> bound;
    for (const Item* item : items) {
        bound.push_back(item->placed());
        bound.back().tree = item->placement.tree;
    }
    auto lease = share_private_mounts(bound, foreign());
    for (Item* item : items) {
        item->is_done = lease.has_value() || item->wanted->is_relocatable;
        if (!lease && item->is_done) {
            item->placement.mountpoint = item->placement.tree;
            item->placement.note =
                "used from " + item->placement.tree + ": nothing can be put at its own path here";
        }
        if (!item->is_done) item->refuse("bind mount", lease.error());
    }
    if (lease) provision_.keep(std::move(*lease));
}

Status Provider::give_up(const Item& item) const {
    const std::string& image = item.placement.image;
    const std::string& place = item.placement.mountpoint;
    return fail(Errc::environment,
                refusal_text(fmt::format("{}: no way to have it at {}", image, place),
                             item.reasons,
                             fmt::format("'squenv doctor {} {}' tests each way", image, place)));
}

/// Outer ones first, so that in one namespace the inner ones are bound onto them.
Status Provider::unpack_left(const std::vector<Item*>& items) {
    std::vector<Item*> unpacked;
    for (Item* item : items) {
        if (!item->is_done && via_ == Method::automatic) use_as_it_is(*item);
        if (!item->is_done && may_use(Method::extract) && item->is_fit(Method::extract) &&
            can_be_unpacked(*item))
            SQUENV_TRY(unpack(*item));
        if (!item->is_done && item->placement.method == Method::extract) unpacked.push_back(item);
    }
    if (!unpacked.empty()) bind_trees(unpacked);
    return {};
}

Result<Provision> Provider::provide(const std::vector<Wanted>& wanted) {
    std::vector<Item> items;
    for (const auto& one : wanted) {
        SQUENV_TRY_ASSIGN(auto item, make_item(one));
        items.push_back(std::move(item));
    }
    const auto order = outer_first(items);
    const bool in_place = may_use(Method::direct) || may_use(Method::fusermount);
    for (Item* item : order)
        if (in_place) SQUENV_TRY(mount_in_place(*item));
    survey(order);
    std::vector<Item*> left;
    for (Item* item : order)
        if (!item->is_done && may_use(Method::userns) && item->is_fit(Method::userns))
            left.push_back(item);
    if (!left.empty()) SQUENV_TRY(mount_privately(left));
    SQUENV_TRY(unpack_left(order));
    for (const auto& item : items)
        if (!item.is_done) SQUENV_TRY(give_up(item));
    for (auto& item : items) provision_.placements.push_back(std::move(item.placement));
    return std::move(provision_);
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

/// What `method` came to, as the note of a success.
Result<std::string> attempt_one(Item& item, Method method) {
    const auto& [request, is_relocatable] = *item.wanted;
    const std::string& place = item.placement.mountpoint;
    SQUENV_TRY(item.fitness(method));
    if (method == Method::direct || method == Method::fusermount)
        return try_in_place(request, place, method);
    if (method == Method::userns) {
        SQUENV_TRY(try_in_namespace(request, place));
        return std::string();
    }
    SQUENV_TRY(image::Image::open(request.image_path, request.image));
    item.reasons.clear();
    if (!can_be_unpacked(item)) return tl::unexpected(as_one(item.reasons));
    if (is_relocatable && !check_tree_place(place))
        return std::string("used from the cache, not from its path");
    return std::string();
}

std::vector<Attempt> Provider::attempt(const Wanted& wanted) {
    std::vector<Attempt> attempts;
    auto item = make_item(wanted);
    std::optional<Error> end;  // what ends provide(), whatever the method
    if (!item)
        end = item.error();
    else
        survey({&*item});
    for (const Method method : kMethods) {
        if (method == Method::automatic) continue;
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
    if (item->is_done) attempts.push_back({Method::automatic, {}, item->placement.note});
    return attempts;
}

}  // namespace

void Provision::keep(Lease lease) {
    kept_.push_back(std::move(lease.connection));
    if (lease.home) home_ = std::move(lease.home);
}

std::vector<int> Provision::descriptors() const {
    std::vector<int> all;
    for (const auto& fd : kept_)
        if (fd) all.push_back(fd.get());
    for (const int fd : {home_.user.get(), home_.mount.get(), home_.root.get()})
        if (fd >= 0) all.push_back(fd);
    return all;
}

Status Provision::settle() {
    std::array<char, PATH_MAX> directory;
    const bool has_directory = ::getcwd(directory.data(), directory.size()) != nullptr;
    if (home_) {
        // Those of root, who needed no user namespace, are root's own.
        const bool has_new_capabilities = has_other_user(home_);
        SQUENV_TRY(join_namespaces(home_));
        if (has_new_capabilities) SQUENV_TRY(drop_all_capabilities());
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

Result<Provision> provide(const std::vector<Wanted>& wanted, Method via,
                          std::vector<int> foreign) {
    return Provider(via, std::move(foreign)).provide(wanted);
}

std::vector<Attempt> attempt(const Wanted& wanted) {
    return Provider(Method::automatic, {}).attempt(wanted);
}

}  // namespace squenv::mount
