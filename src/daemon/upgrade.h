// SPDX-License-Identifier: MIT
// How a program asks the daemon of a mount to let its own server take over.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "daemon/door.h"

namespace squenv::daemon {

/// An upgrade that was made.
struct Upgrade {
    std::string from;  ///< the version of the server before
    std::string to;
    std::int64_t server = 0;   ///< the process that answers from now on
    double pause_seconds = 0;  ///< from the end of the one until the other answers
};

/// Asks the daemon of FUSE connection `device_minor` to serve by the file `program`, and waits
/// until it does. Errors: not_found (no daemon listens), denied (that of another user), busy (no
/// answer in time, another upgrade, or an unmount), and what the daemon reports: then the old
/// server goes on.
[[nodiscard]] Result<Upgrade> ask_upgrade(std::uint32_t device_minor, int program);

/// The answers of the daemon to such a question.
void answer_upgrade(const Door::Visit& visit, const Upgrade& upgrade);
void refuse_upgrade(const Door::Visit& visit, const Error& error);

}  // namespace squenv::daemon
