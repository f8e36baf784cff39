// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>

#include "daemon/lifetime.h"
#include "daemon/supervisor.h"
#include "share/members.h"
#include "system/namespaces.h"

namespace squenv::daemon {

/// Who the daemon serves beside the kernel.
struct Service {
    Supervisor supervisor;  ///< of this mount, which is there already
    Lifetime lifetime = Lifetime::until_unmounted;
    std::optional<share::Members> members{};
    /// What the mount lives in, when it is not ours; let go of as soon as everything runs.
    system::Namespaces namespaces{};
    std::function<void()> on_ready{};  ///< called once when INIT was answered, on any thread
    /// In a process that the daemon forked: called when it begins to serve, and once INIT was
    /// answered, which may be before it serves.
    std::function<void()> on_server_start{};
    std::function<void()> on_server_ready{};
};

}  // namespace squenv::daemon
