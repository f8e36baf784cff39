// SPDX-License-Identifier: MIT
#include "image/latency.h"

#include <gtest/gtest.h>

namespace squenv::image {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(Latency, IsQuickBeforeTheFirstRead) {
    const Latency latency;
    EXPECT_FALSE(latency.is_slow());
    EXPECT_EQ(latency.typical().count(), 0);
}

TEST(Latency, TheFirstReadDecides) {
    Latency latency;
    latency.note(milliseconds(20), 4096);
    EXPECT_TRUE(latency.is_slow());
    latency.note(microseconds(50), 4096);
    EXPECT_FALSE(latency.is_slow()) << "quick until most reads have waited";
}

TEST(Latency, ADelayedReadDoesNotDecide) {
    Latency latency;
    for (int i = 0; i < 5; ++i) latency.note(microseconds(80), 131072);
    for (int i = 0; i < 3; ++i) latency.note(milliseconds(300), 131072);
    EXPECT_FALSE(latency.is_slow());
    latency.note(milliseconds(300), 131072);
    latency.note(milliseconds(300), 131072);
    EXPECT_TRUE(latency.is_slow());
}

TEST(Latency, TheTransferIsNoWait) {
    Latency latency;
    // 1 MiB at 500 MB/s.
    for (int i = 0; i < 8; ++i) latency.note(milliseconds(2), 1 << 20);
    EXPECT_FALSE(latency.is_slow());
    EXPECT_LT(latency.typical(), microseconds(100));
}

TEST(Latency, StorageBecomesQuickAgain) {
    Latency latency;
    for (int i = 0; i < 8; ++i) latency.note(milliseconds(20), 1 << 20);
    EXPECT_TRUE(latency.is_slow());
    EXPECT_GT(latency.typical(), milliseconds(17));
    for (int i = 0; i < 5; ++i) latency.note(microseconds(200), 1 << 20);
    EXPECT_FALSE(latency.is_slow());
}

}  // namespace
}  // namespace squenv::image
