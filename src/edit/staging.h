// SPDX-License-Identifier: MIT
// The place of a session's changes: where it is fastest, among those that can carry them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "edit/session.h"

namespace squenv::edit {

/// A new directory for this user alone, and what may be done in it.
struct Staging {
    std::string directory{};
    Kind kind = Kind::overlay;
    std::string refusal{};  ///< Kind::tree: why there is no overlay
};

/// Called with the name of a directory before it is made, so that it is found after a crash.
using Announce = std::function<Status(const std::string& directory)>;

/// Makes one in `wanted`, or, when that is "", in the first of /dev/shm, TMPDIR, /tmp, /var/tmp and
/// `beside` that can carry an overlay and has room. Memory of /dev/shm counts only as far as the
/// control group allows. Where no place carries one, the first that has `tree_bytes` free is for an
/// unpacked tree. Before any thread exists.
/// Errors: denied, limit (no room anywhere), not_found (`wanted`), and those of `announce`.
[[nodiscard]] Result<Staging> make_staging(const std::string& wanted, const std::string& beside,
                                           std::uint64_t tree_bytes, const Announce& announce);

}  // namespace squenv::edit
