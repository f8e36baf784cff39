// SPDX-License-Identifier: MIT
#include "base/units.h"

#include <gtest/gtest.h>

namespace squenv {
namespace {

TEST(Units, SizesArePowersOf1024) {
    EXPECT_EQ(parse_size("0").value(), 0U);
    EXPECT_EQ(parse_size("4096").value(), 4096U);
    EXPECT_EQ(parse_size("128K").value(), 131072U);
    EXPECT_EQ(parse_size("128k").value(), 131072U);
    EXPECT_EQ(parse_size("32MiB").value(), 32U << 20);
    EXPECT_EQ(parse_size("1GB").value(), 1U << 30);
    EXPECT_EQ(parse_size("2T").value(), 2ULL << 40);
    EXPECT_EQ(parse_size("16777215T").value(), 16777215ULL << 40);
    EXPECT_EQ(parse_size("18446744073709551615").value(), ~0ULL);
}

TEST(Units, WhatIsNotASizeIsRefused) {
    for (const char* text : {"", "K", "-1", "+1", " 1", "1 ", "1.5M", "0x10", "1KK", "16777216T",
                             "18446744073709551616", "1E", "iB", "B"}) {
        SCOPED_TRACE(text);
        const auto size = parse_size(text);
        ASSERT_FALSE(size);
        EXPECT_EQ(size.error().code, Errc::invalid_argument);
        EXPECT_NE(size.error().context.find(text), std::string::npos);
    }
}

TEST(Units, NumbersHaveBounds) {
    EXPECT_EQ(parse_number("256", 256).value(), 256U);
    EXPECT_FALSE(parse_number("257", 256));
    EXPECT_FALSE(parse_number("-1", 256));
    EXPECT_FALSE(parse_number("1x", 256));
    EXPECT_FALSE(parse_number("", 256));
}

TEST(Units, AgesHaveAUnit) {
    EXPECT_EQ(parse_age("0s").value_or(-1), 0);
    EXPECT_EQ(parse_age("90m").value_or(-1), 5400);
    EXPECT_EQ(parse_age("12h").value_or(-1), 43200);
    EXPECT_EQ(parse_age("30d").value_or(-1), 2592000);
    EXPECT_EQ(parse_age("2w").value_or(-1), 1209600);
    for (const char* text : {"", "d", "30", "-1d", "1.5d", "1dd", "d1", "99999999d", " 1d"})
        EXPECT_FALSE(parse_age(text)) << text;
}

TEST(Units, SizesReadWell) {
    EXPECT_EQ(format_size(0), "0 B");
    EXPECT_EQ(format_size(1023), "1023 B");
    EXPECT_EQ(format_size(1024), "1.0 KiB");
    EXPECT_EQ(format_size(213600000), "203.7 MiB");
    EXPECT_EQ(format_size(~0ULL), "16.0 EiB");
}

}  // namespace
}  // namespace squenv
