// SPDX-License-Identifier: MIT
// Membership in something that one process keeps for all of its members.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "share/members.h"
#include "system/namespaces.h"

namespace squenv::share {

/// The state that makes a process a member.
struct Membership {
    UniqueFd connection{};  ///< the shared object stays while this is open, or the process lives
    system::Namespaces namespaces{};  ///< to join before a mount is visible, if it has its own
    std::uint32_t device_minor = 0;   ///< of the joined mount; 0 when that does not matter
    bool is_new = false;              ///< made by this call, not joined
};

/// Starts the process that serves the members that connect to `listener`, and returns the
/// membership of the first. An empty `listener` admits no other member.
using Lead = std::function<Result<Membership>(UniqueFd listener)>;

/// Joins the process that serves under `name`, or becomes that process by `lead`. The process that
/// binds the name leads. The others wait in its queue, and try again when it ends without having
/// admitted them. When it is dead and still has the name, `bury` is called once to end its
/// connection.
/// Errors: those of `lead`; busy (the process is stopped, frozen, or does not finish), io.
[[nodiscard]] Result<Membership> join_or_lead(const std::string& name, const Lead& lead,
                                              const std::function<void()>& bury);

/// The calling process as the first member of a shared object that is about to start.
struct FirstMember {
    UniqueFd ours;
    Member member;
    /// Errors: limit.
    [[nodiscard]] static Result<FirstMember> create();
};

}  // namespace squenv::share
