// SPDX-License-Identifier: MIT
// An unpacked tree in use. Where nothing can be mounted, a symlink shows it at the path of the
// environment for as long as a process uses it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "share/membership.h"

namespace squenv::run {

/// A tree of the cache and, if it is shown at a path, the link to it.
struct TreeLink {
    std::string tree{};   ///< the target of the link
    std::string path{};   ///< canonical, or "" for no link
    std::string entry{};  ///< of the cache, which holds the tree
    int lock = -1;        ///< the entry, open and locked; not owned
};

/// A link that a run of any user has made to a tree in its cache, which others may not enter.
struct FoundLink {
    std::string place{};  ///< of the link, with the links of its parents resolved
    std::string entry{};  ///< of that cache
};
/// The link at `path`; nothing when something else is there.
[[nodiscard]] std::optional<FoundLink> find_tree_link(const std::string& path);

/// Joins the members of `link`, or begins to keep it. A process in the background holds the lock,
/// which a command might close. With the last member it removes the link, together with parents
/// that it created. A link of this program that lost that process is taken over.
/// An entry that is damaged and in use is replaced. That process then keeps the old one and the new
/// one, because it serves members of both.
/// Errors: exists (something else is at the path), denied.
[[nodiscard]] Result<share::Membership> link_tree(const TreeLink& link,
                                                  const std::vector<int>& inherited_fds);

}  // namespace squenv::run
