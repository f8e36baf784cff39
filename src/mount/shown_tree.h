// SPDX-License-Identifier: MIT
// An unpacked tree in use. Where nothing can be mounted, a symlink shows it at the path of the
// environment for as long as somebody uses it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "mount/lease.h"

namespace squenv::mount {

/// A tree of the cache and, if it is shown somewhere, the path of the link to it.
struct ShownTree {
    std::string tree{};   ///< what the link names
    std::string path{};   ///< canonical, or "" for no link
    std::string entry{};  ///< of the cache, which holds the tree
    int lock = -1;        ///< the entry, open and locked; not owned
};

/// Whether a link could be made at `path` (canonical), as far as looking at it tells. A link into
/// the cache counts as ours. Errors: exists (something is there), denied, invalid_argument.
[[nodiscard]] Status check_link_place(const std::string& path);
/// Whether a tree could be bound at `path` in a namespace: it is tried with the cache directory.
/// Before any thread exists. Errors: those of make_private_mounts() and cache_directory().
[[nodiscard]] Status check_bind_place(const std::string& path);

/// Joins those who use `shown` like that, or begins to. A process in the background holds the
/// lock, which a command might close, and removes the link with the last user, together with
/// parents it had to make. A link of ours that lost that process is taken over.
/// An entry that is damaged and in use is replaced: that process then keeps the old one and the
/// new one, because it serves users of both.
/// Errors: exists (something else is at the path), denied.
[[nodiscard]] Result<Lease> share_tree(const ShownTree& shown, const std::vector<int>& foreign);

}  // namespace squenv::mount
