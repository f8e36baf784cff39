// SPDX-License-Identifier: MIT
#include "mount/lease.h"

#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <chrono>

#include "mount/meeting_point.h"

namespace squenv::mount {

namespace {

using Clock = std::chrono::steady_clock;

/// How long others may take to mount or to unmount; on a loaded machine that is seconds.
constexpr std::chrono::seconds kPatience{60};
/// Between looking again whether a daemon that is about to end has done so.
constexpr timespec kPause{0, 1'000'000};

}  // namespace

Result<Lease> join_or_lead(const std::string& name, const Lead& lead) {
    const auto end = Clock::now() + kPatience;
    while (Clock::now() < end) {
        auto connection = visit_meeting_point(name);
        if (!connection && connection.error().code == Errc::denied) return lead({});
        if (!connection) return tl::unexpected(connection.error());
        if (*connection) {
            constexpr int kPatienceMs = static_cast<int>(std::chrono::milliseconds(kPatience).count());
            SQUENV_TRY_ASSIGN(auto home, ask_admission((*connection)->get(), kPatienceMs));
            if (home) return Lease{std::move(**connection), std::move(*home), false};
        } else {
            SQUENV_TRY_ASSIGN(auto listener, claim_meeting_point(name));
            if (listener) return lead(std::move(*listener));
        }
        ::nanosleep(&kPause, nullptr);
    }
    return fail(Errc::busy, "another process that mounts the same does not get done",
                "end it, or choose another mount point");
}

Result<FirstUser> FirstUser::create() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(errno, "socketpair");
    return FirstUser{UniqueFd(ends[0]), User{UniqueFd(ends[1]), own_pidfd(), true}};
}

}  // namespace squenv::mount
