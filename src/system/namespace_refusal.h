// SPDX-License-Identifier: MIT
// Why this machine refuses user namespaces, found out after the refusal, and the remedy.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace squenv::system {

/// What a process was before the request. Afterwards it has no user number and every capability.
struct Standing {
    uid_t uid = 0;
    bool has_setfcap = false;  ///< holds CAP_SETFCAP
};
[[nodiscard]] Standing own_standing();

/// The advice for a refusal with errno `code` at `step`: "unshare", the path of a file that was
/// written, or another word. "" when no remedy is known. For a process with one thread.
[[nodiscard]] std::string namespace_remedy(int code, std::string_view step, Standing before);

/// Whether the root directory of a process differs from that of its mount namespace. Compares its
/// mountinfo with that of a process that may see more, such as process 1.
[[nodiscard]] bool has_changed_root(std::string_view own_mountinfo,
                                    std::string_view other_mountinfo);

}  // namespace squenv::system
