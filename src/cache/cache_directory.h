// SPDX-License-Identifier: MIT
// Where unpacked trees are kept, and how much of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace squenv::cache {

/// $SQUENV_CACHE, or squenv below $XDG_CACHE_HOME, or squenv-UID below $TMPDIR or /tmp. Home
/// directories are not guessed: on a cluster they are on a network. It need not exist.
/// Where another user has squenv-UID, as root of another user namespace has, it is
/// squenv-UID-OUTER. OUTER is the number that the user has outside of the namespace.
[[nodiscard]] std::string cache_path();

/// The same, created with mode 0700. What lies there runs as this user, so no other user may be
/// able to write in it, or to exchange it. Each directory above belongs to this user or root, and
/// others may not write there, unless it has the sticky bit.
/// Errors: denied (one of these does not hold), invalid_argument (SQUENV_CACHE is relative),
/// environment (nothing can be executed there), not_found.
[[nodiscard]] Result<std::string> cache_directory();

/// The same, but nothing when it does not exist.
[[nodiscard]] Result<std::optional<std::string>> existing_cache_directory();

/// $SQUENV_CACHE_SIZE, default 20 GiB, in bytes. Errors: invalid_argument.
[[nodiscard]] Result<std::uint64_t> cache_size_limit();

}  // namespace squenv::cache
