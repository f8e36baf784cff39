// SPDX-License-Identifier: MIT
#include "fuse/session_memory.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "fuse/recorder.h"

namespace squenv::test {
namespace {

/// A server of another version takes over what is in this memory: with another size it has another
/// number, so that it is refused.
TEST(SessionMemoryTest, EachLayoutHasItsNumber) {
    ASSERT_EQ(fuse::kMemoryLayout, 1U) << "write down the new sizes";
    EXPECT_EQ(sizeof(fuse::SessionMemory), 68'456U) << "raise kMemoryLayout";
    EXPECT_EQ(sizeof(fuse::RecorderMemory), 3'670'688U) << "raise kMemoryLayout";
    EXPECT_EQ(offsetof(fuse::SessionMemory, layout), 0U) << "a program looks there first";
}

}  // namespace
}  // namespace squenv::test
