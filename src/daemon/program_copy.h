// SPDX-License-Identifier: MIT
// The program of another version, so that whoever runs it holds no mounts of others.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

/// `program`, or a copy of it in memory, when it lies on a mount that is not of this mount
/// namespace. A process that runs the file there keeps that mount in use, and all that is locked
/// to it in a child namespace: the mount that the process serves, too, which would never end.
/// Errors: those of reading it; limit (no memory); denied (vm.memfd_noexec).
[[nodiscard]] Result<UniqueFd> without_foreign_mount(UniqueFd program);

}  // namespace squenv::daemon
