// SPDX-License-Identifier: MIT
#include "fuse/reader_token.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/threads.h"

namespace squenv::fuse {

namespace {
/// How long parallel demand is remembered, in slow spells.
constexpr int kRememberedSpells = 8;
/// Several times what storing a block takes.
constexpr long kGuardNanoseconds = 300'000;
}  // namespace

Result<std::unique_ptr<ReaderToken>> ReaderToken::create(int device) {
    UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    if (!timer) return fail_errno(errno, "timerfd");
    return std::unique_ptr<ReaderToken>(new ReaderToken(device, std::move(timer)));
}

ReaderToken::~ReaderToken() {
    is_ending_ = true;
    set_timer(1);
}

ReaderToken::Number ReaderToken::take() {
    std::unique_lock lock(mutex_);
    passed_.wait(lock, [this] { return holder_ == kNone; });
    holder_ = ++last_;
    return holder_;
}

void ReaderToken::pass(Number number) {
    {
        std::lock_guard lock(mutex_);
        if (holder_ != number) return;
        holder_ = kNone;
    }
    passed_.notify_one();
}

bool ReaderToken::is_held(Number number) {
    std::lock_guard lock(mutex_);
    return holder_ == number;
}

void ReaderToken::set_timer(long nanoseconds) const {
    const itimerspec when{{0, 0}, {0, nanoseconds}};
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

ReaderToken::Guard::Guard(ReaderToken& token, Number number) : token_(token) {
    {
        std::lock_guard lock(token_.mutex_);
        token_.guarded_ = number;
    }
    token_.set_timer(kGuardNanoseconds);
}

ReaderToken::Guard::~Guard() {
    token_.set_timer(0);
    std::lock_guard lock(token_.mutex_);
    token_.guarded_ = kNone;
}

bool ReaderToken::start_relief() {
    std::vector<std::jthread> made;
    if (start_threads(made, 1, [this] { relieve(); }) == 0) return false;
    relief_ = std::move(made.front());
    return true;
}

void ReaderToken::relieve() {
    while (!is_ending_) {
        std::uint64_t expirations = 0;
        if (::read(timer_.get(), &expirations, sizeof expirations) < 0 && errno != EINTR) return;
        Number stuck = kNone;
        {
            std::lock_guard lock(mutex_);
            stuck = guarded_;
        }
        if (stuck != kNone) pass(stuck);
    }
}

bool ReaderToken::is_request_waiting() const {
    pollfd device{device_, POLLIN, 0};
    return ::poll(&device, 1, 0) > 0 && (device.revents & POLLIN) != 0;
}

bool ReaderToken::should_pass() {
    if (is_request_waiting()) {
        parallel_spells_.store(kRememberedSpells, std::memory_order_relaxed);
        return true;
    }
    int left = parallel_spells_.load(std::memory_order_relaxed);
    while (left > 0 && !parallel_spells_.compare_exchange_weak(left, left - 1)) {
    }
    return left > 0;
}

void ReaderToken::note_end_of_slow_work() {
    if (is_request_waiting()) parallel_spells_.store(kRememberedSpells, std::memory_order_relaxed);
}

}  // namespace squenv::fuse
