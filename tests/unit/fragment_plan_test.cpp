// SPDX-License-Identifier: MIT
#include "prefetch/fragment_plan.h"

#include <gtest/gtest.h>

namespace squenv::test {
namespace {

using prefetch::FragmentPlan;

TEST(FragmentPlan, TheDepthGrowsWhileFragmentsFollowEachOther) {
    FragmentPlan plan;
    std::uint32_t fragment = 10;
    EXPECT_EQ(plan.on_answer(fragment), 0U) << "the first one follows none";
    for (const unsigned depth : {1U, 3U, 7U, 8U, 8U}) EXPECT_EQ(plan.on_answer(++fragment), depth);
}

TEST(FragmentPlan, AJumpEndsIt) {
    FragmentPlan plan;
    (void)plan.on_answer(10);
    ASSERT_EQ(plan.on_answer(11), 1U);
    EXPECT_EQ(plan.on_answer(13), 0U);
    EXPECT_EQ(plan.on_answer(13), 0U) << "again the same";
    EXPECT_EQ(plan.on_answer(14), 1U);
}

TEST(FragmentPlan, WhatWasStoredIsFollowedToo) {
    FragmentPlan plan;
    (void)plan.on_answer(10);
    (void)plan.on_answer(11);
    EXPECT_TRUE(plan.is_next(12));
    EXPECT_FALSE(plan.is_next(13));
    plan.on_stored(12);
    EXPECT_TRUE(plan.is_next(13));
    EXPECT_EQ(plan.on_answer(13), 3U);
}

}  // namespace
}  // namespace squenv::test
