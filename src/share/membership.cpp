// SPDX-License-Identifier: MIT
#include "share/membership.h"

#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <chrono>

#include "system/named_socket.h"

namespace squenv::share {

namespace {

using Clock = std::chrono::steady_clock;

/// The longest time for another process to mount or unmount: seconds on a loaded machine.
constexpr std::chrono::seconds kPatience{60};
/// The longest wait for a process that has the name and admits no member. A daemon listens at once,
/// and takes a queue of thousands in milliseconds. Any user of the machine may bind a name and do
/// nothing.
constexpr std::chrono::seconds kSquatterPatience{5};
/// Between looks at a daemon that is about to end.
constexpr timespec kPause{0, 1'000'000};

}  // namespace

Result<Membership> join_or_lead(const std::string& name, const Lead& lead,
                                const std::function<void()>& bury) {
    const auto start = Clock::now();
    auto shut_out_since = start;
    bool is_buried = false;
    while (Clock::now() < start + kPatience) {
        auto connection = system::visit_name(name);
        // No process there admits this one: it leads without other members.
        const bool is_squatted = Clock::now() > shut_out_since + kSquatterPatience;
        if (!connection && (connection.error().code == Errc::denied ||
                            (connection.error().code == Errc::busy && is_squatted)))
            return lead({});
        if (!connection && connection.error().code == Errc::busy) {
            ::nanosleep(&kPause, nullptr);
            continue;
        }
        if (!connection) return tl::unexpected(connection.error());
        if (*connection) {
            constexpr int kPatienceMs =
                static_cast<int>(std::chrono::milliseconds(kPatience).count());
            auto admission = ask_admission((*connection)->get(), kPatienceMs);
            const bool is_dead = !admission && admission.error().code == Errc::environment;
            if (!admission && !is_dead) return tl::unexpected(admission.error());
            if (!is_dead && *admission)
                return Membership{std::move(**connection), std::move((*admission)->namespaces),
                                  (*admission)->device_minor, false};
            // A stuck thread keeps the name until its connection is ended.
            if (is_dead && is_buried) return lead({});
            if (is_dead) bury();
            is_buried = is_dead;
            shut_out_since = Clock::now();
        } else {
            SQUENV_TRY_ASSIGN(auto listener, system::claim_name(name));
            if (listener || is_squatted) return lead(listener ? std::move(*listener) : UniqueFd());
        }
        ::nanosleep(&kPause, nullptr);
    }
    return fail(Errc::busy, "another process that mounts the same does not get done",
                "end it, or choose another mount point");
}

Result<FirstMember> FirstMember::create() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(errno, "socketpair");
    return FirstMember{UniqueFd(ends[0]), Member{UniqueFd(ends[1]), own_pidfd(), true}};
}

}  // namespace squenv::share
