// SPDX-License-Identifier: MIT
// An unpacked tree at the path of the environment where nothing can be mounted: a symlink that is
// there for as long as somebody uses it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "mount/lease.h"

namespace squenv::mount {

/// Makes `path` (canonical) a symlink to `tree`, or joins those who use it as that. A process in
/// the background removes it with the last user, together with parents it had to make. A link of
/// ours that lost that process is taken over.
/// Errors: exists (something else is at `path`), denied.
[[nodiscard]] Result<Lease> share_link(const std::string& tree, const std::string& path,
                                       const std::vector<int>& foreign);

}  // namespace squenv::mount
