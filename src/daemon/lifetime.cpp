// SPDX-License-Identifier: MIT
#include "daemon/lifetime.h"

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace squenv::daemon {

namespace {

using std::chrono::milliseconds;

/// How long a busy mount is left alone before the next attempt: a process that has just ended still
/// holds it for some milliseconds, one that goes on may hold it for hours.
constexpr milliseconds kFirstRetry{2};
constexpr milliseconds kLastRetry{1000};
/// The same when it cannot be removed for another reason than users: a user may mend that.
constexpr milliseconds kFailedRetry{60'000};
/// How often a mount past its idle time is looked at again, while members keep it.
constexpr milliseconds kIdleRetry{1000};
/// poll(2) counts in an int of milliseconds: longer idle times are waited for in parts.
constexpr double kLongestWaitMs = 3'600'000.0;

/// The mount is in no mount table any more, by this attempt or before it. A mount that was detached
/// before is served until it is closed everywhere, but no new user finds it.
bool is_gone(const Status& status) {
    return status || status.error().code == Errc::not_found;
}

void log_failure(const Status& status) {
    log::error("cannot unmount: {}; the mount is served on", status.error().message());
}

}  // namespace

void LifetimeStrategy::on_signal(int signal) {
    log::info("signal {} is not for a mount that ends with its users", signal);
}

void UntilUnmounted::on_signal(int /*signal*/) {
    mount_.end_walk();
    if (has_signal_ || is_unmounting()) return mount_.end_process();
    // Obeyed even if the mount stays: a second signal ends the process all the same.
    has_signal_ = true;
    auto status = mount_.unmount(mount::UnmountMode::normal);
    if (!status && status.error().sys_errno == EBUSY) {
        log::info("the mount is busy: detached, and served until its last user is done");
        status = mount_.unmount(mount::UnmountMode::lazy);
    }
    if (is_gone(status))
        set_unmounting();
    else
        log_failure(status);
}

void UntilUnmounted::on_timeout() {
    if (idle_timeout_ == 0 || mount_.has_members() || mount_.idle_seconds() < idle_timeout_) return;
    if (mount_.unmount(mount::UnmountMode::normal)) set_unmounting();
}

Timeout UntilUnmounted::next_timeout() const {
    if (idle_timeout_ == 0) return {};
    const double left = idle_timeout_ - mount_.idle_seconds();
    if (left <= 0) return kIdleRetry;
    return milliseconds(static_cast<int>(std::min(left * 1000.0 + 1.0, kLongestWaitMs)));
}

void WhileUsed::on_members_gone() {
    // Between two attempts, events do not count.
    if (!retry_) leave();
}

void WhileUsed::on_timeout() {
    if (retry_) leave();
}

void WhileUsed::leave() {
    mount_.end_walk();
    const auto status = mount_.leave();
    if (is_gone(status)) return set_unmounting();
    if (status.error().sys_errno == EBUSY) {
        retry_ = retry_ ? std::min(2 * *retry_, kLastRetry) : kFirstRetry;
        return;
    }
    if (retry_ != kFailedRetry) log_failure(status);
    retry_ = kFailedRetry;
}

void WithNamespace::on_members_gone() {
    mount_.end_walk();
    set_unmounting();
}

std::unique_ptr<LifetimeStrategy> make_lifetime(Lifetime lifetime, ServedMount& mount,
                                                std::chrono::seconds idle_timeout) {
    switch (lifetime) {
        case Lifetime::while_used: return std::make_unique<WhileUsed>(mount);
        case Lifetime::with_namespace: return std::make_unique<WithNamespace>(mount);
        case Lifetime::until_unmounted: break;
    }
    return std::make_unique<UntilUnmounted>(mount, idle_timeout);
}

}  // namespace squenv::daemon
