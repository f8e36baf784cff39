// SPDX-License-Identifier: MIT
#include "prefetch/held_requests.h"

#include <utility>

#include "base/background_threads.h"

namespace squenv::prefetch {

namespace {
/// An answer may wait for slow storage: the second thread keeps the limits meanwhile.
constexpr unsigned kThreads = 2;
}  // namespace

HeldRequests::~HeldRequests() {
    stop();
}

void HeldRequests::start(const cpu_set_t& processors) {
    if (start_background_threads(threads_, kThreads, processors, [this] { keep_limits(); }) == 0)
        stop();
}

void HeldRequests::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_all();
    threads_.clear();
    for (std::size_t reason = 0; reason < kHoldReasons; ++reason)
        end(static_cast<HoldReason>(reason));
}

bool HeldRequests::hold(HoldReason reason, const FileRange& range, std::chrono::milliseconds limit,
                        Answer answer) {
    {
        const std::lock_guard lock(mutex_);
        if (is_over_ || is_ended_[static_cast<std::size_t>(reason)]) return false;
        queue_.add(reason, range, Clock::now(), limit, std::move(answer));
    }
    changed_.notify_one();
    return true;
}

void HeldRequests::postpone(HoldReason reason, Clock::time_point due) {
    // The threads wake at the old time, and look again.
    const std::lock_guard lock(mutex_);
    queue_.postpone(reason, due);
}

std::vector<HeldRequests::Answer> HeldRequests::take(
    HoldReason reason, const std::function<bool(const FileRange&)>& is_wanted) {
    const std::lock_guard lock(mutex_);
    return queue_.take(reason, is_wanted);
}

void HeldRequests::end(HoldReason reason) {
    std::vector<Answer> answers;
    {
        const std::lock_guard lock(mutex_);
        is_ended_[static_cast<std::size_t>(reason)] = true;
        answers = queue_.take(reason, [](const FileRange&) { return true; });
    }
    for (const Answer& answer : answers) answer(false);
}

bool HeldRequests::has(HoldReason reason) const {
    const std::lock_guard lock(mutex_);
    return queue_.count(reason) != 0;
}

void HeldRequests::keep_limits() {
    std::unique_lock lock(mutex_);
    while (!is_over_) {
        const auto due = queue_.next_due();
        if (!due) {
            changed_.wait(lock);
            continue;
        }
        auto answer = queue_.take_due(Clock::now());
        if (!answer) {
            changed_.wait_until(lock, *due);
            continue;
        }
        // The other thread may not know of what is due next.
        if (!queue_.empty()) changed_.notify_one();
        lock.unlock();
        (*answer)(true);
        lock.lock();
    }
}

}  // namespace squenv::prefetch
