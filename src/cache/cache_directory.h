// SPDX-License-Identifier: MIT
// Where unpacked trees are kept, and how much of them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv::cache {

/// $SQUENV_CACHE, or squenv below $XDG_CACHE_HOME, or squenv-UID below $TMPDIR or /tmp. Home
/// directories are not guessed: on a cluster they are on a network. It need not exist.
[[nodiscard]] std::string cache_path();

/// The same, made with mode 0700. Errors: denied (it belongs to somebody else, or others may write
/// in it), environment (nothing can be executed there), not_found.
[[nodiscard]] Result<std::string> cache_directory();

/// $SQUENV_CACHE_SIZE, default 20 GiB, in bytes. Errors: invalid_argument.
[[nodiscard]] Result<std::uint64_t> cache_size_limit();

}  // namespace squenv::cache
