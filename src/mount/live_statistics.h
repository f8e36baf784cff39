// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "system/mount_table.h"

namespace squenv::mount {

/// How long a healthy daemon may take to answer on a machine that is very busy.
inline constexpr std::chrono::milliseconds kQueryTimeout{3000};

/// A mount that is to be asked. FUSE lets nobody in but the owner: when root asks, it is asked as
/// the owner of `entry`, if that is given.
struct Question {
    std::string mountpoint{};
    const system::MountEntry* entry = nullptr;
};

/// The statistics of squenv mounts as JSON text, each or why there is none. Every one is asked in a
/// process of its own, all at once, so that daemons that hang cost `timeout` together. Nothing is
/// waited for that may not end: a process that hangs for longer is left alone.
/// Errors: environment (dead mount: sys_errno ENOTCONN), busy (no answer in time), unsupported
/// (not a mount of squenv, or of another version), denied (a mount of another user).
[[nodiscard]] std::vector<Result<std::string>> query_all_statistics(
    const std::vector<Question>& questions, std::chrono::milliseconds timeout);

/// The same of one mount.
[[nodiscard]] Result<std::string> query_statistics(const std::string& mountpoint,
                                                   std::chrono::milliseconds timeout,
                                                   const system::MountEntry* entry = nullptr);

}  // namespace squenv::mount
