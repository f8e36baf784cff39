// SPDX-License-Identifier: MIT
// Being a user of something that one process keeps for all of them.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "share/members.h"
#include "system/namespaces.h"

namespace squenv::share {

/// What makes a process a user.
struct Membership {
    UniqueFd connection{};  ///< what is used stays as long as this is open, or the process lives
    system::Namespaces namespaces{};  ///< to join before a mount is seen, if it has its own
    std::uint32_t device_minor = 0;   ///< of the mount that was joined; 0 when that does not matter
    bool is_new = false;              ///< made for us; others' are joined
};

/// Starts the process that serves the users who come to `listener`, and returns the lease of the
/// first. `listener` is empty when nobody else can come.
using Lead = std::function<Result<Membership>(UniqueFd listener)>;

/// Joins who serves under `name`, or becomes that by `lead`. The process that binds the name leads;
/// the others wait in its queue, and try again when it ends without having admitted them. When it
/// is dead and still has the name, `bury` is called once to end its connection.
/// Errors: those of `lead`; busy (it is stopped, frozen, or does not get done), io.
[[nodiscard]] Result<Membership> join_or_lead(const std::string& name, const Lead& lead,
                                              const std::function<void()>& bury);

/// The calling process as the first user of what is about to start.
struct FirstMember {
    UniqueFd ours;
    Member member;
    /// Errors: limit.
    [[nodiscard]] static Result<FirstMember> create();
};

}  // namespace squenv::share
