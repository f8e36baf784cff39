// SPDX-License-Identifier: MIT
#include "prefetch/recorded_plan.h"

#include <gtest/gtest.h>

#include <vector>

namespace squenv::test {
namespace {

using prefetch::FileRange;
using prefetch::Job;
using prefetch::RecordedPlan;
using std::chrono::milliseconds;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint32_t kContent = 128 << 10;  ///< of each block
constexpr std::uint32_t kStored = 16 << 10;    ///< of each block
constexpr std::size_t kBlocks = 2048;          ///< 256 MiB of content
constexpr std::size_t kBlocksPerMiB = 8;
constexpr std::size_t kAll = ~std::size_t{0};

/// File number n is block number n.
std::vector<prefetch::RecordedBlocks::Stored> stored_blocks() {
    std::vector<prefetch::RecordedBlocks::Stored> stored;
    for (std::size_t i = 0; i < kBlocks; ++i)
        stored.push_back({{i * kStored, {kStored, true}}, kContent, {i, 0, 0, kContent}});
    return stored;
}

/// A plan with a clock that stands still until it is moved.
class RecordedPlanTest : public testing::Test {
  protected:
    RecordedPlanTest() { plan_.set_blocks(blocks_); }

    RecordedPlan::Hit hit(std::size_t block) { return plan_.on_hit(block, false, now_); }
    /// All jobs there are now, begun by decoders.
    std::size_t work_off() {
        const auto jobs = plan_.take(kAll);
        for (const Job& job : jobs) plan_.begin(job);
        return jobs.size();
    }
    bool is_wanted(std::size_t block) { return plan_.is_wanted(Job{.number = block}); }
    /// A program with three front requests shortly after each other; the last one is for `block`.
    RecordedPlan::Hit come_to_front(std::size_t block) {
        for (const std::size_t before : {2U, 1U}) {
            EXPECT_FALSE(hit(block - before).may_hold);
            now_ += milliseconds(1);
        }
        return hit(block);
    }
    static FileRange request(std::size_t block) { return {block, 0, 4096}; }

    const prefetch::RecordedBlocks blocks_{stored_blocks()};
    RecordedPlan plan_;
    RecordedPlan::Clock::time_point now_ = RecordedPlan::Clock::time_point(std::chrono::hours(1));
};

TEST_F(RecordedPlanTest, WithoutBlocksThereIsNothingToDo) {
    RecordedPlan plan;
    EXPECT_FALSE(plan.has_job());
    EXPECT_FALSE(plan.is_finished()) << "the blocks may come";
    EXPECT_TRUE(plan.take(kAll).empty());
}

TEST_F(RecordedPlanTest, TheFirstWindowHas32MiB) {
    EXPECT_EQ(work_off(), 32 * kBlocksPerMiB);
    EXPECT_FALSE(plan_.has_job());
    EXPECT_FALSE(plan_.is_finished());
}

TEST_F(RecordedPlanTest, JobsAreTakenInOrderByWhatTheyRead) {
    const auto first = plan_.take(4 * kStored);
    ASSERT_EQ(first.size(), 4U);
    const auto second = plan_.take(kStored + 1);
    ASSERT_EQ(second.size(), 2U);
    EXPECT_EQ(second.front().number, 4U);
    EXPECT_EQ(second.front().block, &blocks_.blocks()[4]);
}

TEST_F(RecordedPlanTest, AHitGrowsTheWindowToTwiceAsFar) {
    work_off();
    const auto found = hit(30 * kBlocksPerMiB);
    EXPECT_TRUE(found.is_in_work);
    EXPECT_FALSE(found.is_at_front);
    // 2 * 30 + 32 MiB, of which 32 are done.
    EXPECT_EQ(work_off(), 60 * kBlocksPerMiB);
    hit(20 * kBlocksPerMiB);
    EXPECT_EQ(work_off(), 0U) << "a hit that is not further grows nothing";
    hit(90 * kBlocksPerMiB);
    EXPECT_EQ(work_off(), (212 - 92) * kBlocksPerMiB);
}

TEST_F(RecordedPlanTest, ABlockCacheIsFilledByAThirdAheadOfTheProgram) {
    RecordedPlan plan(12U << 20);
    plan.set_blocks(blocks_);
    const auto taken = [&] {
        const auto jobs = plan.take(kAll);
        for (const auto& job : jobs) plan.begin(job);
        return jobs.size();
    };
    EXPECT_EQ(taken(), 4 * kBlocksPerMiB);
    EXPECT_TRUE(plan.on_hit(3 * kBlocksPerMiB, false, now_).is_in_work);
    EXPECT_EQ(taken(), 3 * kBlocksPerMiB);
    RecordedPlan large(std::uint64_t{1} << 40);
    large.set_blocks(blocks_);
    EXPECT_EQ(large.take(kAll).size(), 32 * kBlocksPerMiB) << "no more than for the page cache";
}

TEST_F(RecordedPlanTest, AFrontRequestMakesThePlanJump) {
    const auto found = hit(100);
    EXPECT_TRUE(found.is_at_front);
    EXPECT_FALSE(found.may_hold);
    EXPECT_EQ(plan_.take(1).front().number, 101U) << "the program reads the block itself";
    EXPECT_FALSE(is_wanted(99));
    EXPECT_FALSE(is_wanted(100));
    EXPECT_TRUE(is_wanted(101));
}

TEST_F(RecordedPlanTest, AJumpNeverGoesBack) {
    hit(100);
    const auto found = hit(50);
    EXPECT_TRUE(found.is_at_front);
    EXPECT_EQ(plan_.take(1).front().number, 101U);
}

TEST_F(RecordedPlanTest, AHitOfABlockInWorkDoesNotJump) {
    const auto jobs = plan_.take(10 * kStored);
    for (const Job& job : jobs) plan_.begin(job);
    EXPECT_TRUE(hit(9).is_in_work);
    EXPECT_TRUE(is_wanted(9));
    EXPECT_TRUE(hit(10).is_at_front);
}

TEST_F(RecordedPlanTest, TheThirdFrontRequestInARowMayBeHeld) {
    const auto found = come_to_front(100);
    EXPECT_TRUE(found.may_hold);
    EXPECT_TRUE(is_wanted(100)) << "it waits for this block";
    EXPECT_FALSE(is_wanted(99));
    EXPECT_EQ(plan_.take(1).front().number, 100U);
}

TEST_F(RecordedPlanTest, FrontRequestsWithAPauseAreNotInARow) {
    for (std::size_t block = 100; block < 110; ++block) {
        EXPECT_FALSE(hit(block).may_hold) << block;
        now_ += milliseconds(3);
    }
}

TEST_F(RecordedPlanTest, TheTimeThatARequestIsHeldIsNoPause) {
    ASSERT_TRUE(come_to_front(100).may_hold);
    now_ += milliseconds(8);
    plan_.on_answer(request(100), true, now_);
    now_ += milliseconds(2);
    EXPECT_TRUE(hit(101).may_hold);
}

TEST_F(RecordedPlanTest, AHeldRequestIsDueWhenFourMiBMoreAreBegun) {
    ASSERT_TRUE(come_to_front(100).may_hold);
    EXPECT_TRUE(plan_.may_hold(request(100), false));
    EXPECT_FALSE(plan_.may_hold(request(100), true)) << "no thread would answer it";
    for (const Job& job : plan_.take(4 * kBlocksPerMiB * kStored)) {
        EXPECT_FALSE(plan_.is_due(request(100), false)) << job.number;
        plan_.begin(job);
    }
    EXPECT_TRUE(plan_.is_due(request(100), false));
    EXPECT_FALSE(plan_.is_due(request(101), false));
    EXPECT_TRUE(plan_.is_due(request(101), true));
    EXPECT_TRUE(plan_.is_due({kBlocks + 7, 0, 4096}, false)) << "it is in no block";
}

TEST_F(RecordedPlanTest, AProgramThatWasNotRecordedMissesMoreThanItHits) {
    for (int i = 1; i < 32; ++i) EXPECT_FALSE(plan_.on_miss()) << i;
    EXPECT_TRUE(plan_.on_miss());
    hit(0);
    hit(1);
    for (int i = 33; i < 32 + 2 * 4; ++i) EXPECT_FALSE(plan_.on_miss()) << i;
    EXPECT_TRUE(plan_.on_miss());
}

TEST_F(RecordedPlanTest, ASuspendedPlanGoesOnAtTheNextHit) {
    (void)plan_.take(10 * kStored);
    EXPECT_TRUE(plan_.suspend());
    EXPECT_FALSE(plan_.suspend()) << "it is suspended already";
    EXPECT_FALSE(plan_.has_job());
    hit(100);
    ASSERT_TRUE(plan_.has_job());
    EXPECT_EQ(plan_.take(1).front().number, 101U);
}

TEST_F(RecordedPlanTest, AStreamEndsThePlanOfAProgramThatHasHardlyBegun) {
    for (std::size_t i = 0; i < 32; ++i) {
        EXPECT_TRUE(plan_.is_ended_by_stream());
        hit(i);
    }
    EXPECT_TRUE(plan_.is_ended_by_stream());
    hit(32);
    EXPECT_FALSE(plan_.is_ended_by_stream());
}

TEST_F(RecordedPlanTest, AHitOfAnExhaustedPlanIsCountedOnly) {
    while (work_off() != 0) hit(kBlocks / 2);
    EXPECT_TRUE(plan_.is_finished());
    EXPECT_TRUE(hit(kBlocks - 1).is_in_work);
    const unsigned hits = plan_.counters().hits;
    const auto found = plan_.on_hit(kBlocks - 1, true, now_);
    EXPECT_FALSE(found.is_in_work || found.is_at_front || found.may_hold);
    EXPECT_EQ(plan_.counters().hits, hits + 1);
}

TEST_F(RecordedPlanTest, WhatIsRefusedIsWaitedForAsLongAsTheWalkLasts) {
    EXPECT_EQ(plan_.refused(), RecordedPlan::Refused::wait);
    plan_.end_walk();
    EXPECT_EQ(plan_.refused(), RecordedPlan::Refused::skip);
}

TEST(RecordedBytesLimit, IsAQuarterOfTheMemory) {
    EXPECT_EQ(prefetch::recorded_bytes_limit(1 << 20, 4096), 1024 * kMiB);
    EXPECT_EQ(prefetch::recorded_bytes_limit(1000, 65536), 1000U * 65536 / 4);
    EXPECT_EQ(prefetch::recorded_bytes_limit(-1, 4096), 32 * kMiB) << "not known";
    EXPECT_EQ(prefetch::recorded_bytes_limit(1 << 20, 0), 32 * kMiB);
}

}  // namespace
}  // namespace squenv::test
