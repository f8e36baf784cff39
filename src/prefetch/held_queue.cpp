// SPDX-License-Identifier: MIT
#include "prefetch/held_queue.h"

#include <algorithm>
#include <utility>

namespace squenv::prefetch {

void HeldQueue::add(HoldReason reason, const FileRange& range, Clock::time_point now,
                    std::chrono::milliseconds limit, Answer answer) {
    const Clock::time_point latest = now + hold_limit(reason);
    held_.push_back({reason, range, std::min(now + limit, latest), latest, std::move(answer)});
    ++counts_[static_cast<std::size_t>(reason)];
}

void HeldQueue::postpone(HoldReason reason, Clock::time_point due) {
    if (count(reason) == 0) return;
    for (Held& request : held_)
        if (request.reason == reason) request.due = std::min(due, request.latest);
}

std::optional<HeldQueue::Clock::time_point> HeldQueue::next_due() const {
    if (held_.empty()) return std::nullopt;
    return std::min_element(held_.begin(), held_.end(),
                            [](const Held& a, const Held& b) { return a.due < b.due; })
        ->due;
}

void HeldQueue::remove(std::vector<Held>::iterator request) {
    --counts_[static_cast<std::size_t>(request->reason)];
    held_.erase(request);
}

std::optional<HeldQueue::Answer> HeldQueue::take_due(Clock::time_point now) {
    const auto first = std::min_element(held_.begin(), held_.end(),
                                        [](const Held& a, const Held& b) { return a.due < b.due; });
    if (first == held_.end() || first->due > now) return std::nullopt;
    Answer answer = std::move(first->answer);
    remove(first);
    return answer;
}

std::vector<HeldQueue::Answer> HeldQueue::take(
    HoldReason reason, const std::function<bool(const FileRange&)>& is_wanted) {
    std::vector<Answer> taken;
    if (count(reason) == 0) return taken;
    for (auto request = held_.begin(); request != held_.end();) {
        if (request->reason != reason || !is_wanted(request->range)) {
            ++request;
            continue;
        }
        taken.push_back(std::move(request->answer));
        --counts_[static_cast<std::size_t>(reason)];
        request = held_.erase(request);
    }
    return taken;
}

}  // namespace squenv::prefetch
