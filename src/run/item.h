// SPDX-License-Identifier: MIT
// An image on its way to a path, and the checks before a method is tried.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/request_files.h"
#include "run/methods.h"
#include "run/refusals.h"
#include "run/shared_mount.h"

namespace squenv::run {

struct Item {
    Wanted wanted{};
    daemon::RequestFiles files{};
    Placement placement{};
    bool is_done = false;
    bool is_inside = false;          ///< lies in the place of another one that is not done
    std::vector<Refusal> reasons{};  ///< why no method worked so far

    void refuse(const char* way, const Error& error) { reasons.push_back({way, error}); }
    void refuse(mount::Method method, const Error& error) {
        refuse(mount::method_name(method), error);
    }
    /// Whether `method` can do what the request asks for; if not, keeps the reason.
    bool is_fit(mount::Method method);
    [[nodiscard]] Status fitness(mount::Method method) const;
    /// The path of a link to its tree. A link inside of another tree would change that tree.
    [[nodiscard]] std::string link_path() const { return is_inside ? "" : placement.mountpoint; }
    [[nodiscard]] PlacedRequest placed() {
        return {wanted.request, &files, placement.mountpoint, {}};
    }
};

/// Errors: what is wrong with the path, or with what the request names besides the image.
[[nodiscard]] Result<Item> make_item(const Wanted& wanted);

/// What lies inside another image is mounted after it; the other order would hide it.
[[nodiscard]] std::vector<Item*> outer_first(std::vector<Item>& items);

/// Finds out what the remaining methods need to know, after those in place.
void survey(const std::vector<Item*>& items);

/// Whether unpacking leads to a usable tree: checked before a tree is made.
bool can_be_unpacked(Item& item);

}  // namespace squenv::run
