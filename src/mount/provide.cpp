// SPDX-License-Identifier: MIT
#include "mount/provide.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cache/cache_directory.h"
#include "cache/tree_cache.h"
#include "mount/answer.h"
#include "mount/live_statistics.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/settings.h"
#include "mount/sharing.h"
#include "mount/shown_tree.h"

namespace squenv::mount {

namespace {

/// Above what shells and scripts use by number.
constexpr int kFirstKeptDescriptor = 200;

/// What `request` asks for and `method` cannot do.
Status check_fitness(Method method, const MountRequest& request) {
    const bool is_alone = method == Method::userns || method == Method::extract;
    if (is_alone && (request.allow_other || request.allow_root))
        return fail(Errc::environment,
                    "nobody else would see it, as allow_other and allow_root ask");
    if (method == Method::extract && request.noexec)
        return fail(Errc::environment, "programs of an unpacked image can be run, against noexec");
    if (method == Method::extract && !request.record_path.empty())
        return fail(Errc::environment, "of an unpacked image nothing can be recorded");
    return {};
}

/// An image on its way to a path.
struct Item {
    const Wanted* wanted = nullptr;
    Placement placement{};
    bool is_done = false;
    std::vector<std::string> reasons{};  ///< why no method worked so far

    void refuse(Method method, const Error& error) {
        reasons.push_back(fmt::format("{}: {}", method_name(method), error.message()));
    }
    /// Whether `method` can do what is asked; if not, that is the reason.
    bool is_fit(Method method) {
        const auto status = check_fitness(method, wanted->request);
        if (!status) refuse(method, status.error());
        return status.has_value();
    }
    [[nodiscard]] PlacedRequest placed() const {
        return {wanted->request, placement.mountpoint, {}};
    }
};

/// What another way to mount cannot mend: an error of our own checks, not of a system call.
bool is_final(const Error& error) {
    return error.code == Errc::corrupt || error.code == Errc::unsupported ||
           (error.code == Errc::invalid_argument && error.sys_errno == 0);
}

std::string identity_in(const std::string& statistics) {
    const auto answer = parse_answer(statistics);
    return answer ? text_in(*answer, "identity").value_or("") : "";
}

/// Canonical, but a link of ours at the path is the path and not the tree that it shows.
Result<std::string> place_of(const std::string& path) {
    SQUENV_TRY_ASSIGN(auto place, canonical_mountpoint(path));
    const auto directory = cache::cache_path();
    if (!place.starts_with(directory + '/')) return place;
    const std::filesystem::path given = std::filesystem::absolute(path).lexically_normal();
    std::error_code error;
    if (!std::filesystem::is_symlink(given, error)) return place;
    SQUENV_TRY_ASSIGN(const auto parent, canonical_mountpoint(given.parent_path().string()));
    return parent + '/' + given.filename().string();
}

class Provider {
  public:
    Provider(Method via, std::vector<int> foreign) : via_(via), foreign_(std::move(foreign)) {}

    Result<Provision> provide(const std::vector<Wanted>& wanted);

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

/// Whether an unpacked tree could be used, and if not, the reasons. Unpacking can take a minute,
/// and the room that the image takes, so it begins when there is a place for the tree.
bool has_place_for_tree(Item& item) {
    if (item.wanted->is_relocatable) return true;
    const auto link = check_link_place(item.placement.mountpoint);
    if (link) return true;
    const auto bind = check_bind_place(item.placement.mountpoint);
    if (bind) return true;
    item.refuse(Method::extract, link.error());
    item.reasons.push_back("bind mount: " + bind.error().message());
    return false;
}

/// Unpacks, and puts the tree at its path where that is free; `is_done` says whether it was.
Status Provider::unpack(Item& item) {
    const MountRequest& request = item.wanted->request;
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.image_path, request.image));
    if (!has_place_for_tree(item)) return {};
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
    ShownTree shown{item.placement.tree, item.placement.mountpoint, tree->entry, tree->lock.get()};
    auto lease = share_tree(shown, foreign());
    item.is_done = lease.has_value();
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
        if (!item->is_done) item->reasons.push_back("bind mount: " + lease.error().message());
    }
    if (lease) provision_.keep(std::move(*lease));
}

Status Provider::give_up(const Item& item) const {
    std::string text = fmt::format("{}: no way to have it at {}: ", item.placement.image,
                                   item.placement.mountpoint);
    for (const auto& reason : item.reasons) text += reason + "; ";
    text.resize(text.size() - 2);
    return fail(Errc::environment, text, "'squenv doctor' tests this machine");
}

Result<Provision> Provider::provide(const std::vector<Wanted>& wanted) {
    std::vector<Item> items;
    for (const auto& one : wanted) {
        Item item;
        item.wanted = &one;
        item.placement.image = one.request.image_path;
        SQUENV_TRY_ASSIGN(item.placement.mountpoint, place_of(one.request.mountpoint));
        SQUENV_TRY(check_place(item.placement.mountpoint));
        SQUENV_TRY(check_settings(one.request));
        item.placement.tree = item.placement.mountpoint;
        items.push_back(std::move(item));
    }
    // What lies inside another image is mounted after it, or it would be hidden.
    std::vector<Item*> outer_first;
    for (auto& item : items) outer_first.push_back(&item);
    std::sort(outer_first.begin(), outer_first.end(), [](const Item* a, const Item* b) {
        return a->placement.mountpoint < b->placement.mountpoint;
    });
    const bool in_place = may_use(Method::direct) || may_use(Method::fusermount);
    for (Item* item : outer_first)
        if (in_place) SQUENV_TRY(mount_in_place(*item));
    std::vector<Item*> left;
    for (Item* item : outer_first)
        if (!item->is_done && may_use(Method::userns) && item->is_fit(Method::userns))
            left.push_back(item);
    if (!left.empty()) SQUENV_TRY(mount_privately(left));
    std::vector<Item*> unpacked;
    for (auto& item : items) {
        if (!item.is_done && via_ == Method::automatic) use_as_it_is(item);
        if (!item.is_done && may_use(Method::extract) && item.is_fit(Method::extract))
            SQUENV_TRY(unpack(item));
        if (!item.is_done && item.placement.method == Method::extract) unpacked.push_back(&item);
    }
    if (!unpacked.empty()) bind_trees(unpacked);
    for (const auto& item : items)
        if (!item.is_done) SQUENV_TRY(give_up(item));
    for (auto& item : items) provision_.placements.push_back(std::move(item.placement));
    return std::move(provision_);
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
    for (const int fd : {home_.user.get(), home_.mount.get()})
        if (fd >= 0) all.push_back(fd);
    return all;
}

Status Provision::settle() {
    std::array<char, PATH_MAX> directory;
    const bool has_directory = ::getcwd(directory.data(), directory.size()) != nullptr;
    if (home_) {
        SQUENV_TRY(join_namespaces(home_));
        SQUENV_TRY(drop_all_capabilities());
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

}  // namespace squenv::mount
