// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "mount/mount_table.h"

namespace squenv::mount {

/// How long a healthy daemon may take to answer on a machine that is very busy.
inline constexpr std::chrono::milliseconds kQueryTimeout{3000};

/// The statistics of the squenv mount at `mountpoint` as JSON text. Asked in a child process, so
/// that a daemon that hangs costs `timeout` and not the caller. FUSE lets nobody in but the owner:
/// when root asks, the child asks as the owner of `entry`, if that is given.
/// Errors: environment (dead mount: sys_errno ENOTCONN), busy (no answer in time), unsupported
/// (not a mount of squenv, or of another version), denied (a mount of somebody else).
[[nodiscard]] Result<std::string> query_statistics(const std::string& mountpoint,
                                                   std::chrono::milliseconds timeout,
                                                   const MountEntry* entry = nullptr);

}  // namespace squenv::mount
