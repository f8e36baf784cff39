// SPDX-License-Identifier: MIT
#include "base/checked.h"

#include <gtest/gtest.h>

namespace squenv {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

TEST(Checked, AdditionNeverWraps) {
    EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
    EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
    EXPECT_EQ(checked_add(1, kMax), std::nullopt);
    EXPECT_EQ(checked_add(0, 0), 0U);
}

TEST(Checked, DivisionRoundsUpAtTheTop) {
    EXPECT_EQ(ceil_div(0, 4096), 0U);
    EXPECT_EQ(ceil_div(1, 4096), 1U);
    EXPECT_EQ(ceil_div(4096, 4096), 1U);
    EXPECT_EQ(ceil_div(kMax, 4096), kMax / 4096 + 1);
    EXPECT_EQ(ceil_div(kMax, 1), kMax);
}

TEST(Checked, RangesFitWithoutOverflow) {
    EXPECT_TRUE(fits(0, 0, 0));
    EXPECT_TRUE(fits(90, 10, 100));
    EXPECT_FALSE(fits(91, 10, 100));
    EXPECT_FALSE(fits(0, 101, 100));
    EXPECT_FALSE(fits(kMax, 10, 100));
    EXPECT_FALSE(fits(kMax - 1, kMax - 1, 100));
    EXPECT_TRUE(fits(kMax, 0, kMax));
}

}  // namespace
}  // namespace squenv
