// SPDX-License-Identifier: MIT
#include "base/little_endian.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/bytes.h"

namespace squenv {
namespace {

template <class T>
class LittleEndian : public testing::Test {};
using Integers = testing::Types<std::uint8_t, std::uint16_t, std::int16_t, std::uint32_t,
                                std::int32_t, std::uint64_t, std::int64_t>;
TYPED_TEST_SUITE(LittleEndian, Integers);

TYPED_TEST(LittleEndian, KeepsEveryExtreme) {
    using Limits = std::numeric_limits<TypeParam>;
    for (const TypeParam value : {Limits::min(), Limits::max(), TypeParam{0}, TypeParam{1},
                                  static_cast<TypeParam>(Limits::max() / 3)})
        EXPECT_EQ(Le<TypeParam>(value).get(), value);
}

TEST(LittleEndianBytes, LowestByteFirstAtAnyAddress) {
    const unsigned char raw[] = {0xFF, 0x68, 0x73, 0x71, 0x73, 0, 0, 0, 1};
    Le32 word;
    std::memcpy(&word, raw + 1, sizeof word);
    EXPECT_EQ(word, 0x73717368U);
    Le64 wide;
    std::memcpy(&wide, raw + 1, sizeof wide);
    EXPECT_EQ(wide, 0x0100000073717368ULL);
    LeS16 minus(-2);
    unsigned char bytes[2];
    std::memcpy(bytes, &minus, 2);
    EXPECT_EQ(bytes[0], 0xFE);
    EXPECT_EQ(bytes[1], 0xFF);
}

TEST(Bytes, AppendAndLoadAgree) {
    ByteVector out;
    append(out, Le16(0x1234));
    append(out, as_bytes("abc"));
    append(out, ByteView{});
    ASSERT_EQ(out.size(), 5U);
    EXPECT_EQ(load<Le16>(out), 0x1234);
    EXPECT_EQ(as_text(ByteView(out).subspan(2)), "abc");
}

}  // namespace
}  // namespace squenv
