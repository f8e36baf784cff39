// SPDX-License-Identifier: MIT
#include "prefetch/recorded_plan.h"

#include <algorithm>
#include <chrono>

namespace squenv::prefetch {

namespace {

/// Content put into the page cache for a mount without users.
constexpr std::uint64_t kFirstWindow = 32 << 20;
/// Part of the machine's memory that recorded content may take.
constexpr std::uint64_t kMemoryShare = 4;
/// Part of the block cache that is filled ahead, when decoded blocks stay there.
constexpr std::uint64_t kCacheShare = 3;
/// Misses after which it is another program that runs, and how many more for each hit.
constexpr unsigned kMostMisses = 32;
constexpr unsigned kMissesPerHit = 4;
/// Hits that the beginning of a stream is good for.
constexpr unsigned kMostHitsBeforeStream = 32;
/// Front requests that follow each other within this, so many times, are of a program that waits
/// for nothing else.
constexpr std::chrono::milliseconds kFrontGap{3};
constexpr unsigned kFrontsToHold = 2;

}  // namespace

std::uint64_t recorded_bytes_limit(long pages, long page_bytes) {
    if (pages <= 0 || page_bytes <= 0) return kFirstWindow;
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes) /
           kMemoryShare;
}

RecordedPlan::RecordedPlan() : first_window_(kFirstWindow), growth_(2), window_end_(first_window_) {
}

RecordedPlan::RecordedPlan(std::uint64_t cache_bytes)
    : first_window_(std::min(kFirstWindow, cache_bytes / kCacheShare)),
      growth_(1),
      window_end_(first_window_) {
}

RecordedPlan::Hit RecordedPlan::on_hit(std::size_t index, bool is_exhausted,
                                       Clock::time_point now) {
    ++hits_;
    if (is_exhausted) return {};
    const std::uint64_t at = blocks_->blocks()[index].bytes_before;
    window_end_ = std::max(window_end_, growth_ * at + first_window_);
    if (index < claimed_) return {.is_in_work = true};
    fronts_in_row_ = now - last_front_ < kFrontGap ? fronts_in_row_ + 1 : 0;
    last_front_ = now;
    const bool may_hold = fronts_in_row_ >= kFrontsToHold;
    ++(may_hold ? holds_ : jumps_);
    // The program reads this block itself, unless its request is held.
    passed_ = std::max(passed_, may_hold ? index : index + 1);
    cursor_ = std::max(cursor_, passed_);
    return {.is_at_front = true, .may_hold = may_hold};
}

bool RecordedPlan::on_miss() {
    return ++misses_ >= kMostMisses + kMissesPerHit * hits_;
}

bool RecordedPlan::is_ended_by_stream() const {
    return hits_ <= kMostHitsBeforeStream;
}

bool RecordedPlan::suspend() {
    if (window_end_ == 0) return false;
    window_end_ = 0;
    return true;
}

bool RecordedPlan::has_job() const {
    return !is_finished() && blocks_ != nullptr &&
           blocks_->blocks()[cursor_].bytes_before < window_end_;
}

bool RecordedPlan::is_finished() const {
    return blocks_ != nullptr && cursor_ >= blocks_->blocks().size();
}

std::vector<Job> RecordedPlan::take(std::size_t stored_bytes) {
    std::vector<Job> jobs;
    for (std::size_t size = 0; size < stored_bytes && has_job(); ++cursor_) {
        const PlannedBlock& block = blocks_->blocks()[cursor_];
        size += block.place.stored.size_bytes;
        jobs.push_back({.number = cursor_, .block = &block});
    }
    return jobs;
}

void RecordedPlan::begin(const Job& job) {
    claimed_ = std::max(claimed_, job.number + 1);
}

bool RecordedPlan::may_hold(const FileRange& /*request*/, bool is_idle) const {
    return !is_idle;
}

bool RecordedPlan::is_due(const FileRange& request, bool is_idle) const {
    if (is_idle || blocks_ == nullptr) return true;
    const auto& blocks = blocks_->blocks();
    const std::uint64_t front =
        claimed_ < blocks.size() ? blocks[claimed_].bytes_before : ~std::uint64_t{0};
    const auto index = blocks_->find(request.file, request.begin);
    return !index || front >= blocks[*index].bytes_before + kHoldAhead;
}

/// A program that was waiting goes on now.
void RecordedPlan::on_answer(const FileRange& /*request*/, bool /*is_late*/,
                             Clock::time_point now) {
    last_front_ = now;
}

}  // namespace squenv::prefetch
