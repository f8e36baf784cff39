// SPDX-License-Identifier: MIT
#include "base/shared_object.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace squenv::test {
namespace {

struct Small {
    std::uint64_t number;
};
struct Large {
    std::uint64_t numbers[2];
};

template <class Object>
UniqueFd passed(const SharedObject<Object>& object) {
    return UniqueFd(::fcntl(descriptor_of(object), F_DUPFD_CLOEXEC, 3));
}

TEST(SharedObjectTest, BothMappingsAreOneObject) {
    auto made = make_passable_object<Small>("test").value();
    EXPECT_EQ(made->number, 0U);
    made->number = 7;
    auto mapped = map_passed_object<Small>(passed(made)).value();
    EXPECT_EQ(mapped->number, 7U);
    mapped->number = 8;
    EXPECT_EQ(made->number, 8U);
    made.reset();
    EXPECT_EQ(mapped->number, 8U) << "each mapping ends with its owner";
}

TEST(SharedObjectTest, AnotherSizeIsRefused) {
    const auto made = make_passable_object<Small>("test").value();
    const auto mapped = map_passed_object<Large>(passed(made));
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error().code, Errc::unsupported);
}

TEST(SharedObjectTest, OneWithoutADescriptorIsNotPassedOn) {
    EXPECT_EQ(descriptor_of(make_shared_object<Small>().value()), -1);
}

}  // namespace
}  // namespace squenv::test
