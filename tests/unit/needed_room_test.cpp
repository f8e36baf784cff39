// SPDX-License-Identifier: MIT
#include "create/needed_room.h"

#include <gtest/gtest.h>

#include <string>

namespace squenv::create {
namespace {

constexpr std::uint64_t kMib = 1ULL << 20;
constexpr std::uint64_t kRoomGib = 1ULL << 30;

KnownSizes replaced(std::uint64_t bytes, bool has_same_inputs) {
    return {bytes, has_same_inputs, {}};
}

TEST(NeededRoom, IsUsualWhenNothingIsKnown) {
    EXPECT_EQ(needed_room({}), kUsualRoom);
}

TEST(NeededRoom, IsThatOfTheSameInputsAgain) {
    EXPECT_EQ(needed_room(replaced(100 * kMib, true)), 712 * kMib);
    EXPECT_EQ(needed_room(replaced(20 * kRoomGib, true)), 40 * kRoomGib + 512 * kMib);
    KnownSizes with_lock = replaced(100 * kMib, true);
    with_lock.locked = 9 * kRoomGib;
    EXPECT_EQ(needed_room(with_lock), 712 * kMib);
}

TEST(NeededRoom, OfOtherInputsIsAtLeastTheUsual) {
    EXPECT_EQ(needed_room(replaced(100 * kMib, false)), kUsualRoom);
    EXPECT_EQ(needed_room(replaced(20 * kRoomGib, false)), 40 * kRoomGib + 512 * kMib);
}

TEST(NeededRoom, FollowsFromALock) {
    KnownSizes sizes;
    sizes.locked = 100 * kMib;
    EXPECT_EQ(needed_room(sizes), 812 * kMib);
    sizes.replaced = 20 * kRoomGib;
    EXPECT_EQ(needed_room(sizes), 812 * kMib);
    sizes.locked = ~0ULL;
    EXPECT_GT(needed_room(sizes), 1ULL << 50);
}

/// One of the wheels of a package is chosen, or its source.
TEST(LockedBytes, AreThoseOfTheLargestFileOfEachPackage) {
    const std::string uv = R"(version = 1
size = 99999999
[[package]]
name = "numpy"
sdist = { url = "https://h/numpy-2.tar.gz", hash = "sha256:ab", size = 20 }
wheels = [
    { url = "https://h/numpy-2-cp311.whl", hash = "sha256:cd", size = 300, upload-time = "x" },
    { url = "https://h/size=5000.whl", hash = "sha256:ef", size = 250 },
]

[[package]]
name = "tiny"
source = { editable = "." }

[[package]]
name = "einops"
wheels = [{ size = 7 }, { size=9 }, { resize = 5000 }, { size = "no" }]
)";
    EXPECT_EQ(locked_bytes(std::string_view(uv)), 300U + 9U);
    EXPECT_EQ(locked_bytes(std::string_view("[[packages]]\nname = 'a'\n[[packages.wheels]]\n"
                                            "size = 40\n[[packages.wheels]]\nsize = 30\n"
                                            "[[packages]]\nsdist = {size = 2}")),
              42U);
}

TEST(LockedBytes, AreNotKnownWithoutSizes) {
    for (const char* text : {"", "[[package]]\nname = 'a'\n", "size", "size =", "size = x", "size"})
        EXPECT_FALSE(locked_bytes(std::string_view(text))) << text;
    EXPECT_FALSE(locked_bytes(Inputs{InputKind::requirements, {}, {"/dev/null"}}));
    EXPECT_FALSE(locked_bytes(Inputs{InputKind::uv_lock, {}, {"/nonexistent"}}));
}

}  // namespace
}  // namespace squenv::create
