// SPDX-License-Identifier: MIT
#include "image/first_paths.h"

#include <gtest/gtest.h>

#include "support/reading.h"

namespace squenv::test {
namespace {

std::uint64_t reference_of(const image::Image& image, const std::string& path) {
    return image.resolve(path).value().reference.raw();
}

TEST(FirstPaths, AreFoundForTheInodesThatAreAskedFor) {
    ImageBuilder builder;
    builder.directory("a");
    builder.file("a/file", "text");
    builder.file("b", "other");
    const auto built = builder.build();
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
    image::PathsByInode paths{
        {reference_of(**image, "a/file"), ""}, {reference_of(**image, ""), ""}, {kNowhere, ""}};
    ASSERT_TRUE(image::find_first_paths(**image, paths));
    EXPECT_EQ(paths.at(reference_of(**image, "a/file")), "a/file");
    EXPECT_EQ(paths.at(reference_of(**image, "")), ".");
    EXPECT_EQ(paths.at(kNowhere), "");
}

TEST(FirstPaths, DamageIsToldUnlessNothingIsMissingBeforeIt) {
    ImageBuilder builder;
    builder.file("a", "text");
    builder.directory("b");
    builder.file("b/file", "text");
    builder.file("c", "text");
    auto built = builder.build();
    const auto whole = open_image(built);
    const std::uint64_t before = reference_of(**whole, "a");
    const std::uint64_t after = reference_of(**whole, "c");
    built.set("entry:b/file.type", 1);
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    image::PathsByInode first{{before, ""}};
    EXPECT_TRUE(image::find_first_paths(**image, first));
    EXPECT_EQ(first.at(before), "a");
    image::PathsByInode second{{after, ""}};
    const auto status = image::find_first_paths(**image, second);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::corrupt);
    EXPECT_EQ(second.at(after), "c") << "the walk goes on beside the damage";
}

}  // namespace
}  // namespace squenv::test
