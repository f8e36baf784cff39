// SPDX-License-Identifier: MIT
// What is decoded ahead of a program whose start was recorded.
#pragma once

#include <cstdint>
#include <optional>

#include "prefetch/plan.h"
#include "prefetch/recorded_blocks.h"

namespace squenv::prefetch {

/// Bytes of recorded content that are stored at most, for a machine with `pages` pages of
/// `page_bytes` bytes: a quarter of its memory, or 32 MiB when a number is not known.
[[nodiscard]] std::uint64_t recorded_bytes_limit(long pages, long page_bytes);

/// The recorded blocks in their order, inside a window: 32 MiB at first, then twice as far as the
/// last block that a request hit. A request in front of what is being decoded (a front request)
/// makes the plan jump there. A program with several front requests shortly after each other waits
/// for nothing else, and its requests may be held.
///
/// A program that misses more than it hits is not the recorded one: the plan is suspended, until
/// the next hit.
class RecordedPlan final : public Plan {
  public:
    /// Decoded blocks go into the page cache, or stay in a block cache of `cache_bytes` bytes. Of
    /// that they take no more than a third ahead of the last hit. Holds no block before
    /// set_blocks().
    RecordedPlan();
    explicit RecordedPlan(std::uint64_t cache_bytes);
    /// `blocks` outlive the plan.
    void set_blocks(const RecordedBlocks& blocks) { blocks_ = &blocks; }

    /// What a hit asks of the pool.
    struct Hit {
        bool is_in_work = false;  ///< decoded already, or being decoded
        bool is_at_front = false;
        bool may_hold = false;
    };
    /// A request for recorded block `index`. `is_exhausted`: every block was taken by a decoder.
    Hit on_hit(std::size_t index, bool is_exhausted, Clock::time_point now);
    /// A request for anything else. True: it is not the recorded program that runs.
    [[nodiscard]] bool on_miss();
    /// A request of a stream. True: this is how another program than the recorded one begins.
    [[nodiscard]] bool is_ended_by_stream() const;
    /// No job until the next hit. False when it is suspended already.
    bool suspend();
    /// The kernel is told of no more nodes by the tree walker.
    void end_walk() { is_walked_ = false; }

    /// For the log.
    struct Counters {
        unsigned hits = 0;
        unsigned long front_requests = 0;
        unsigned long held = 0;
    };
    [[nodiscard]] Counters counters() const { return {hits_, jumps_ + holds_, holds_}; }

    [[nodiscard]] HoldReason hold_reason() const override {
        return HoldReason::read_at_recorded_front;
    }
    [[nodiscard]] bool has_job() const override;
    [[nodiscard]] bool is_finished() const override;
    [[nodiscard]] std::vector<Job> take(std::size_t stored_bytes) override;
    void begin(const Job& job) override;
    [[nodiscard]] bool is_wanted(const Job& job) const override { return job.number >= passed_; }
    void begin_store(const Job& /*job*/) override {}
    [[nodiscard]] Refused refused() const override {
        return is_walked_ ? Refused::wait : Refused::skip;
    }
    void finish(const Job& /*job*/, bool /*is_complete*/) override {}
    [[nodiscard]] bool may_hold(const FileRange& request, bool is_idle) const override;
    [[nodiscard]] bool is_due(const FileRange& request, bool is_idle) const override;
    void on_answer(const FileRange& request, bool is_late, Clock::time_point now) override;

  private:
    const RecordedBlocks* blocks_ = nullptr;
    std::size_t cursor_ = 0;   ///< the next block to take
    std::size_t claimed_ = 0;  ///< after the last block that a decoder began
    std::size_t passed_ = 0;   ///< a program is here; what is before is not worth storing
    const std::uint64_t first_window_;
    const std::uint64_t growth_;  ///< bytes of the window for each byte that a request reached
    std::uint64_t window_end_;    ///< in bytes of the plan; 0: suspended
    Clock::time_point last_front_{};
    unsigned fronts_in_row_ = 0;  ///< front requests shortly after each other
    unsigned long holds_ = 0;
    unsigned long jumps_ = 0;
    unsigned hits_ = 0;
    unsigned misses_ = 0;
    bool is_walked_ = true;
};

}  // namespace squenv::prefetch
