// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "system/mount_table.h"

namespace squenv::mount {

/// The longest time for an answer of a healthy daemon on a very busy machine. A command that waits
/// in vain ends within three seconds.
inline constexpr std::chrono::milliseconds kQueryTimeout{2700};

/// The first byte of such a question to the daemon itself, which its name (mount/connection.h)
/// leads to. The answer is one message of at most kStatisticsBytes.
inline constexpr char kAskStatistics = 's';

/// A mount to query. FUSE admits only the owner: a process of root queries as the owner of `entry`,
/// if that is given. Through an overlay no
/// ioctl arrives: then the daemon is asked itself.
struct Question {
    std::string mountpoint{};
    const system::MountEntry* entry = nullptr;
};

/// The statistics of squenv mounts as JSON text, or for each the reason why there is none. Each
/// query runs in a process of its own, all at once, so that hanging daemons together cost one
/// `timeout`. The caller waits for nothing that may not end: a process that hangs longer is left
/// alone. A mount with an `entry` that gave no answer is silent for three seconds: it is not asked
/// again.
/// Errors: environment (dead mount: sys_errno ENOTCONN), busy (no answer in time), unsupported (not
/// a mount of squenv, or of another version), denied (a mount of another user).
[[nodiscard]] std::vector<Result<std::string>> query_all_statistics(
    const std::vector<Question>& questions, std::chrono::milliseconds timeout);

/// The same for one mount.
[[nodiscard]] Result<std::string> query_statistics(const std::string& mountpoint,
                                                   std::chrono::milliseconds timeout,
                                                   const system::MountEntry* entry = nullptr);

}  // namespace squenv::mount
