// SPDX-License-Identifier: MIT
#include "prefetch/held_requests.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <semaphore>

#include "base/cpus.h"
#include "prefetch/unanswered_reads.h"

namespace squenv::test {
namespace {

using prefetch::HeldQueue;
using prefetch::HoldReason;
using std::chrono::milliseconds;

constexpr HoldReason kAll[] = {HoldReason::listing_beside_walker,
                               HoldReason::read_at_recorded_front, HoldReason::read_at_stream_front,
                               HoldReason::walker_beside_stream};

/// A queue with a clock that stands still until it is moved.
class HeldQueueTest : public testing::Test {
  protected:
    HeldQueue::Answer note() {
        return [this](bool is_late) { ++(is_late ? late_ : early_); };
    }
    void add(HoldReason reason, milliseconds limit = milliseconds(10'000),
             const prefetch::FileRange& range = {}) {
        queue_.add(reason, range, now_, limit, note());
    }
    /// What is due at the time of the clock is answered.
    void run_due() {
        while (auto answer = queue_.take_due(now_)) (*answer)(true);
    }

    HeldQueue queue_;
    HeldQueue::Clock::time_point now_ = HeldQueue::Clock::time_point(std::chrono::hours(1));
    int early_ = 0;
    int late_ = 0;
};

TEST_F(HeldQueueTest, NoRequestIsHeldBeyondTheLimitOfItsReason) {
    for (const HoldReason reason : kAll) {
        late_ = 0;
        add(reason);
        EXPECT_EQ(queue_.next_due(), now_ + prefetch::hold_limit(reason));
        now_ += prefetch::hold_limit(reason) - milliseconds(1);
        run_due();
        EXPECT_EQ(late_, 0);
        now_ += milliseconds(1);
        run_due();
        EXPECT_EQ(late_, 1);
        EXPECT_TRUE(queue_.empty());
        EXPECT_EQ(queue_.count(reason), 0U);
    }
}

TEST_F(HeldQueueTest, EveryLimitIsShort) {
    for (const HoldReason reason : kAll) {
        EXPECT_GT(prefetch::hold_limit(reason), milliseconds(0));
        EXPECT_LE(prefetch::hold_limit(reason), milliseconds(250));
    }
}

TEST_F(HeldQueueTest, PostponingEndsAtTheLimit) {
    const auto start = now_;
    add(HoldReason::walker_beside_stream, milliseconds(20));
    for (int i = 0; i < 100 && late_ == 0; ++i) {
        queue_.postpone(HoldReason::walker_beside_stream, now_ + milliseconds(20));
        now_ += milliseconds(10);
        run_due();
    }
    EXPECT_EQ(late_, 1);
    EXPECT_EQ(now_ - start, prefetch::hold_limit(HoldReason::walker_beside_stream));
}

TEST_F(HeldQueueTest, PostponingMovesOneReasonOnly) {
    add(HoldReason::read_at_recorded_front);
    queue_.postpone(HoldReason::read_at_stream_front, now_ + std::chrono::hours(1));
    EXPECT_EQ(queue_.next_due(), now_ + prefetch::hold_limit(HoldReason::read_at_recorded_front));
}

TEST_F(HeldQueueTest, TheFirstOneDueIsTakenFirst) {
    add(HoldReason::walker_beside_stream);
    add(HoldReason::listing_beside_walker);
    add(HoldReason::read_at_recorded_front);
    now_ += milliseconds(5);
    run_due();
    EXPECT_EQ(late_, 1);
    EXPECT_EQ(queue_.count(HoldReason::listing_beside_walker), 0U);
    now_ += milliseconds(300);
    run_due();
    EXPECT_EQ(late_, 3);
}

TEST_F(HeldQueueTest, TakesThoseThatAreWanted) {
    add(HoldReason::read_at_recorded_front, milliseconds(5), {7, 0, 100});
    add(HoldReason::read_at_recorded_front, milliseconds(5), {8, 0, 100});
    add(HoldReason::read_at_stream_front, milliseconds(5), {8, 0, 100});
    const auto taken =
        queue_.take(HoldReason::read_at_recorded_front,
                    [](const prefetch::FileRange& range) { return range.file == 8; });
    ASSERT_EQ(taken.size(), 1U);
    taken[0](false);
    EXPECT_EQ(early_, 1);
    EXPECT_EQ(queue_.count(HoldReason::read_at_recorded_front), 1U);
    EXPECT_EQ(queue_.count(HoldReason::read_at_stream_front), 1U);
}

TEST(UnansweredReads, TheirPagesAreLeftOut) {
    prefetch::UnansweredReads reads;
    std::optional<prefetch::UnansweredReads::Entry> first;
    first.emplace(reads, prefetch::FileRange{7, 100, 200});
    {
        const prefetch::UnansweredReads::Entry second(reads, {7, 300, 400});
        const prefetch::UnansweredReads::Entry same(reads, {7, 300, 400});
        EXPECT_TRUE(reads.overlaps({7, 150, 160}));
        EXPECT_FALSE(reads.overlaps({8, 150, 160}));
        EXPECT_FALSE(reads.overlaps({7, 200, 300}));
        const auto pieces = reads.without({7, 0, 500});
        ASSERT_EQ(pieces.size(), 3U);
        EXPECT_EQ(pieces[0].end, 100U);
        EXPECT_EQ(pieces[1].begin, 200U);
        EXPECT_EQ(pieces[1].end, 300U);
        EXPECT_EQ(pieces[2].begin, 400U);
        EXPECT_TRUE(reads.without({7, 120, 180}).empty());
    }
    EXPECT_FALSE(reads.overlaps({7, 300, 400}));
    first.reset();
    EXPECT_EQ(reads.without({7, 0, 500}).size(), 1U);
}

TEST(HeldRequests, LimitsAreKeptWhateverElseHappens) {
    prefetch::HeldRequests held;
    held.start(allowed_processors());
    for (const HoldReason reason : kAll) {
        std::binary_semaphore is_answered{0};
        ASSERT_TRUE(held.hold(reason, {}, [&](bool) { is_answered.release(); }));
        EXPECT_TRUE(is_answered.try_acquire_for(std::chrono::seconds(20)));
    }
}

TEST(HeldRequests, AnAnswerThatTakesLongHoldsUpNoOther) {
    prefetch::HeldRequests held;
    held.start(allowed_processors());
    std::binary_semaphore may_end{0};
    std::binary_semaphore is_slow{0};
    std::binary_semaphore is_answered{0};
    ASSERT_TRUE(held.hold(HoldReason::read_at_recorded_front, {}, [&](bool) {
        is_slow.release();
        may_end.acquire();
    }));
    ASSERT_TRUE(
        held.hold(HoldReason::read_at_recorded_front, {}, [&](bool) { is_answered.release(); }));
    ASSERT_TRUE(is_slow.try_acquire_for(std::chrono::seconds(20)));
    EXPECT_TRUE(is_answered.try_acquire_for(std::chrono::seconds(20)));
    may_end.release();
}

TEST(HeldRequests, WhatEndsIsAnsweredAndHeldNoMore) {
    prefetch::HeldRequests held;
    std::atomic<int> answered{0};
    for (const HoldReason reason : kAll)
        ASSERT_TRUE(held.hold(reason, {}, [&](bool is_late) { answered += is_late ? 100 : 1; }));
    held.end(HoldReason::listing_beside_walker);
    EXPECT_EQ(answered, 1);
    EXPECT_FALSE(held.hold(HoldReason::listing_beside_walker, {}, [](bool) {}));
    held.stop();
    EXPECT_EQ(answered, 4);
    for (const HoldReason reason : kAll) EXPECT_FALSE(held.hold(reason, {}, [](bool) {}));
}

TEST(HeldRequests, EveryRequestIsAnsweredOnce) {
    for (int round = 0; round < 50; ++round) {
        std::atomic<int> asked{0};
        std::atomic<int> answered{0};
        {
            prefetch::HeldRequests held;
            held.start(allowed_processors());
            for (int i = 0; i < 40; ++i)
                if (held.hold(kAll[i % 4], {}, [&](bool) { ++answered; })) ++asked;
            if (round % 2 == 0) held.end(HoldReason::read_at_recorded_front);
        }
        EXPECT_EQ(asked, answered);
    }
}

}  // namespace
}  // namespace squenv::test
