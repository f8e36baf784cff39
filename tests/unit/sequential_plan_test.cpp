// SPDX-License-Identifier: MIT
#include "prefetch/sequential_plan.h"

#include <gtest/gtest.h>

#include <vector>

namespace squenv::test {
namespace {

using prefetch::FileRange;
using prefetch::Job;
using prefetch::SequentialPlan;
using std::chrono::milliseconds;

constexpr std::uint64_t kKiB = 1 << 10;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kBlock = 128 * kKiB;
constexpr std::uint64_t kRequest = 128 * kKiB;
constexpr std::uint64_t kPage = 4096;
/// Where the first window begins: after the run of a new stream and the kernel's own readahead.
constexpr std::uint64_t kFirst = 512 * kKiB + 256 * kKiB;

image::Inode file_of(std::uint64_t number, std::uint64_t size_bytes = 100 * kMiB) {
    image::Inode file;
    file.reference = format::Reference::from_raw(number);
    file.size_bytes = size_bytes;
    return file;
}

/// A plan with a clock that stands still until it is moved.
class SequentialPlanTest : public testing::Test {
  protected:
    static FileRange request(const image::Inode& file, std::uint64_t offset,
                             std::uint64_t size = kRequest) {
        return {prefetch::file_id(file), offset, offset + size};
    }
    SequentialPlan::Read read(const image::Inode& file, std::uint64_t offset) {
        return plan_.on_read(file, request(file, offset), now_);
    }
    /// Requests up to the one that makes the file a stream.
    void begin_stream(const image::Inode& file) {
        for (std::uint64_t at = 0; at < 512 * kKiB; at += kRequest) (void)read(file, at);
    }
    std::vector<Job> take_all() {
        std::vector<Job> jobs;
        while (plan_.has_job()) jobs.push_back(plan_.take(1).front());
        return jobs;
    }
    void finish(const std::vector<Job>& jobs) {
        for (const Job& job : jobs) plan_.finish(job, true);
    }

    SequentialPlan plan_{kBlock};
    SequentialPlan::Clock::time_point now_ =
        SequentialPlan::Clock::time_point(std::chrono::hours(1));
    const image::Inode file_ = file_of(7);
};

TEST_F(SequentialPlanTest, HalfAMiBWithoutAGapIsAStream) {
    for (std::uint64_t at = 0; at < 384 * kKiB; at += kRequest) {
        EXPECT_FALSE(read(file_, at).is_stream) << at;
        EXPECT_FALSE(plan_.has_job());
    }
    const auto found = read(file_, 384 * kKiB);
    EXPECT_TRUE(found.is_stream);
    EXPECT_TRUE(found.has_moved);
    EXPECT_TRUE(plan_.has_job());
}

TEST_F(SequentialPlanTest, AGapMakesItNoStream) {
    for (std::uint64_t at = 0; at < 8 * kMiB; at += 2 * kRequest)
        EXPECT_FALSE(read(file_, at).is_stream) << at;
    EXPECT_FALSE(plan_.has_job());
}

TEST_F(SequentialPlanTest, TheFirstWindowHasFourMiBAfterWhatTheKernelAsksFor) {
    begin_stream(file_);
    const auto jobs = take_all();
    ASSERT_EQ(jobs.size(), 4 * kMiB / kBlock);
    EXPECT_EQ(jobs.front().range, (FileRange{7, kFirst, kFirst + kBlock}));
    EXPECT_EQ(jobs.back().range.end, kFirst + 4 * kMiB);
    EXPECT_EQ(jobs.front().file->size_bytes, file_.size_bytes);
}

TEST_F(SequentialPlanTest, TheMarkerPageIsLeftOutInTheMiddle) {
    begin_stream(file_);
    const std::uint64_t marker = kFirst + 2 * kMiB;
    unsigned left_out = 0;
    for (const Job& job : take_all()) {
        if (job.range.size() == kBlock) continue;
        ++left_out;
        EXPECT_EQ(job.range, (FileRange{7, marker + kPage, marker + kBlock}));
    }
    EXPECT_EQ(left_out, 1U);
}

TEST_F(SequentialPlanTest, TheRequestForTheMarkerPageMovesTheWindowOnAndDoublesIt) {
    begin_stream(file_);
    std::uint64_t next = kFirst;
    std::uint64_t window = 4 * kMiB;
    std::uint64_t marker = next + window / 2;
    for (const std::uint64_t larger : {8U, 16U, 16U}) {
        finish(take_all());
        next += window;
        EXPECT_FALSE(read(file_, marker - kRequest).has_moved);
        EXPECT_FALSE(plan_.has_job());
        EXPECT_TRUE(read(file_, marker).has_moved);
        window = larger * kMiB;
        marker = next + window / 2;
        const auto jobs = take_all();
        ASSERT_EQ(jobs.size(), window / kBlock);
        EXPECT_EQ(jobs.front().range.begin, next);
        finish(jobs);
    }
}

TEST_F(SequentialPlanTest, AProgramThatStopsLeavesNoMoreThanAWindow) {
    begin_stream(file_);
    finish(take_all());
    now_ += std::chrono::hours(1);
    EXPECT_FALSE(plan_.has_job());
}

TEST_F(SequentialPlanTest, ARequestAfterWhatWasTakenStartsAgainThere) {
    begin_stream(file_);
    (void)plan_.take(1);
    const std::uint64_t late = kFirst + kBlock;
    EXPECT_TRUE(read(file_, late).has_moved);
    EXPECT_EQ(plan_.take(1).front().range.begin, late + kRequest + 256 * kKiB);
}

TEST_F(SequentialPlanTest, RequestsOfTheKernelMayOvertakeEachOther) {
    begin_stream(file_);
    EXPECT_TRUE(read(file_, 640 * kKiB).is_stream);
    EXPECT_TRUE(read(file_, 512 * kKiB).is_stream);
    EXPECT_FALSE(read(file_, 50 * kMiB).is_stream) << "a jump";
    EXPECT_FALSE(plan_.has_job());
}

TEST_F(SequentialPlanTest, TheLastJobEndsWithTheFile) {
    const auto file = file_of(9, kFirst + 3 * kBlock + 100);
    begin_stream(file);
    const auto jobs = take_all();
    ASSERT_EQ(jobs.size(), 4U);
    EXPECT_EQ(jobs.back().range.end, file.size_bytes);
}

TEST_F(SequentialPlanTest, TheStreamThatWasUsedLastGoesFirst) {
    const auto other = file_of(8);
    begin_stream(file_);
    begin_stream(other);
    EXPECT_EQ(plan_.take(1).front().range.file, 8U);
    (void)read(file_, 512 * kKiB);
    EXPECT_EQ(plan_.take(1).front().range.file, 7U);
}

TEST_F(SequentialPlanTest, EightStreamsAreKnown) {
    for (std::uint64_t number = 10; number < 17; ++number) begin_stream(file_of(number));
    begin_stream(file_);
    EXPECT_TRUE(read(file_of(10), 512 * kKiB).is_stream);
    (void)read(file_of(99), 0);  // instead of 11, which was used longest ago
    EXPECT_TRUE(read(file_of(12), 512 * kKiB).is_stream);
    EXPECT_FALSE(read(file_of(11), 512 * kKiB).is_stream);
}

TEST_F(SequentialPlanTest, ARequestAtTheFrontIsHeldUntilFourMiBMoreAreStored) {
    EXPECT_FALSE(plan_.may_hold(request(file_, 0), false)) << "no stream";
    begin_stream(file_);
    const auto wanted = request(file_, kFirst);
    EXPECT_TRUE(plan_.may_hold(wanted, false));
    EXPECT_FALSE(plan_.is_due(wanted, true)) << "what threads have is not stored yet";
    const auto jobs = take_all();
    finish({jobs.begin() + 1, jobs.end()});
    EXPECT_FALSE(plan_.is_due(wanted, true)) << "the first block is not stored";
    finish({jobs.front()});
    EXPECT_TRUE(plan_.is_due(wanted, true)) << "the window is stored";
    EXPECT_FALSE(plan_.may_hold(wanted, false));
}

TEST_F(SequentialPlanTest, WhatIsBeingStoredIsNotWaitedFor) {
    begin_stream(file_);
    const Job job = plan_.take(1).front();
    EXPECT_TRUE(plan_.may_hold(request(file_, job.range.begin), false));
    plan_.begin_store(job);
    EXPECT_FALSE(plan_.may_hold(request(file_, job.range.begin), false));
    EXPECT_TRUE(plan_.may_hold(request(file_, job.range.end), false));
}

TEST_F(SequentialPlanTest, AfterALateAnswerNothingIsHeldBeforeTheNextMarkerPage) {
    begin_stream(file_);
    const auto wanted = request(file_, kFirst);
    plan_.on_answer(wanted, false, now_);
    EXPECT_TRUE(plan_.may_hold(wanted, false));
    plan_.on_answer(wanted, true, now_);
    EXPECT_FALSE(plan_.may_hold(wanted, false));
    finish(take_all());
    const std::uint64_t marker = kFirst + 2 * kMiB;
    ASSERT_TRUE(read(file_, marker).has_moved);
    EXPECT_TRUE(plan_.may_hold(request(file_, kFirst + 4 * kMiB), false));
}

TEST_F(SequentialPlanTest, WhatCannotBeStoredEndsTheStream) {
    begin_stream(file_);
    plan_.finish(plan_.take(1).front(), false);
    EXPECT_FALSE(plan_.has_job());
    EXPECT_FALSE(plan_.may_hold(request(file_, kFirst), false));
    EXPECT_TRUE(plan_.is_due(request(file_, kFirst), false));
}

TEST_F(SequentialPlanTest, ItIsQuietTwentyMillisecondsAfterTheLastRequestOfAStream) {
    EXPECT_LE(plan_.quiet_at(), now_);
    (void)read(file_, 0);
    EXPECT_LE(plan_.quiet_at(), now_) << "not yet a stream";
    begin_stream(file_);
    EXPECT_EQ(plan_.quiet_at(), now_ + milliseconds(20));
    now_ += milliseconds(5);
    (void)read(file_, 512 * kKiB);
    EXPECT_EQ(plan_.quiet_at(), now_ + milliseconds(20));
}

}  // namespace
}  // namespace squenv::test
