// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::mount {

/// Makes `path` (canonical) ready to be mounted on: a stale FUSE mount there, whose daemon is
/// gone, is detached. Errors: not_found, invalid_argument (not a directory), denied, exists (a
/// living mount of ours is there already).
[[nodiscard]] Status prepare_mountpoint(const std::string& path);

/// True when the mount at `path` has lost its daemon.
[[nodiscard]] bool is_stale(const std::string& path);

}  // namespace squenv::mount
