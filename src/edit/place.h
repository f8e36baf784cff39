// SPDX-License-Identifier: MIT
// An unpacked tree, writable at the path of its environment, where there is no overlay.
#pragma once

#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "edit/session.h"
#include "run/methods.h"

namespace squenv::edit {

/// Shows the tree of `session` at the path that `wanted` asks for: by a bind mount in a namespace
/// of its own, else by a link, else, when its files may be used elsewhere, where it is. `hold` is
/// that of hold_session(). Before any thread exists. Errors: environment, with the reason of each.
[[nodiscard]] Result<run::HeldMounts> place_tree(const run::Wanted& wanted, const Session& session,
                                                 const UniqueFd& hold,
                                                 std::vector<int> inherited_fds);

}  // namespace squenv::edit
