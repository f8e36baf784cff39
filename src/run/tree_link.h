// SPDX-License-Identifier: MIT
// An unpacked tree in use. Where nothing can be mounted, a symlink shows it at the path of the
// environment for as long as somebody uses it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "share/membership.h"

namespace squenv::run {

/// A tree of the cache and, if it is shown somewhere, the path of the link to it.
struct TreeLink {
    std::string tree{};   ///< what the link names
    std::string path{};   ///< canonical, or "" for no link
    std::string entry{};  ///< of the cache, which holds the tree
    int lock = -1;        ///< the entry, open and locked; not owned
};

/// Joins those who use `shown` like that, or begins to. A process in the background holds the
/// lock, which a command might close, and removes the link with the last user, together with
/// parents it had to make. A link of ours that lost that process is taken over.
/// An entry that is damaged and in use is replaced: that process then keeps the old one and the
/// new one, because it serves users of both.
/// Errors: exists (something else is at the path), denied.
[[nodiscard]] Result<share::Membership> link_tree(const TreeLink& link,
                                                  const std::vector<int>& inherited_fds);

}  // namespace squenv::run
