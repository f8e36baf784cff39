// SPDX-License-Identifier: MIT
#include "prefetch/chunk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/memory_source.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr std::uint32_t kStored = 10'000;
constexpr std::uint64_t kMaxGap = 128 << 10;

/// Blocks at `positions`, read as one chunk.
class ChunkTest : public testing::Test {
  protected:
    prefetch::Chunk read(const std::vector<std::uint64_t>& positions) {
        blocks_.clear();
        for (const std::uint64_t position : positions)
            blocks_.push_back({{position, {kStored, true}}, 0, 0, {}});
        std::vector<prefetch::Job> jobs;
        for (std::size_t i = 0; i < blocks_.size(); ++i)
            jobs.push_back({.number = i, .block = &blocks_[i]});
        const std::uint64_t before = faults_->reads;
        auto chunk = prefetch::read_chunk(source_, std::move(jobs));
        reads_ = faults_->reads - before;
        return chunk;
    }
    void expect_right(const prefetch::Chunk& chunk) {
        for (const auto& piece : chunk.pieces) {
            const ByteView wanted =
                as_bytes(content_).subspan(piece.job.block->place.position, kStored);
            const ByteView got = chunk.stored_of(piece);
            EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.begin(), wanted.end()))
                << piece.job.number;
        }
    }

    const std::string content_ = pattern(2 << 20, 1);
    std::shared_ptr<Faults> faults_ = std::make_shared<Faults>();
    MemorySource source_{ByteVector(as_bytes(content_).begin(), as_bytes(content_).end()), faults_};
    std::vector<prefetch::PlannedBlock> blocks_;
    std::uint64_t reads_ = 0;
};

TEST_F(ChunkTest, NeighboursAreReadAtOnceAndStayInTheOrderOfThePlan) {
    const auto chunk = read({20'000, 0, 10'000});
    EXPECT_EQ(reads_, 1U);
    ASSERT_EQ(chunk.pieces.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(chunk.pieces[i].job.number, i);
    expect_right(chunk);
}

TEST_F(ChunkTest, ASmallGapIsReadAndALargeOneIsSkipped) {
    EXPECT_EQ(read({0, kStored + kMaxGap}).pieces.size(), 2U);
    EXPECT_EQ(reads_, 1U);
    const auto chunk = read({0, kStored + kMaxGap + 1});
    EXPECT_EQ(reads_, 2U);
    EXPECT_EQ(chunk.bytes.size(), 2 * kStored);
    expect_right(chunk);
}

TEST_F(ChunkTest, WhatCannotBeReadIsLeftOut) {
    faults_->fail_read = 2;
    const auto chunk = read({1 << 20, 0, 10'000});
    EXPECT_EQ(reads_, 2U);
    ASSERT_EQ(chunk.pieces.size(), 2U);
    EXPECT_EQ(chunk.pieces[0].job.number, 1U);
    EXPECT_EQ(chunk.pieces[1].job.number, 2U);
    expect_right(chunk);
}

TEST_F(ChunkTest, NoJobsAreNoBytes) {
    EXPECT_TRUE(read({}).pieces.empty());
    EXPECT_EQ(reads_, 0U);
}

}  // namespace
}  // namespace squenv::test
