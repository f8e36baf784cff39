// SPDX-License-Identifier: MIT
#include "verify/verify.h"

#include <gtest/gtest.h>

#include "support/reading.h"

namespace squenv::test {
namespace {

verify::VerifyReport check(const BuiltImage& built) {
    const auto image = open_image(built);
    EXPECT_TRUE(image);
    return verify::verify_image(**image, {2});
}

TEST(Verify, AWholeImageHasNoErrors) {
    const auto built = sample_tree().build();
    const auto report = check(built);
    for (const auto& error : report.errors) ADD_FAILURE() << error.message();
    EXPECT_EQ(report.objects, all_paths(built).size());
    std::uint64_t bytes = 0;
    for (const auto& [path, content] : built.files)
        if (path != "hard2") bytes += content.size();
    EXPECT_EQ(report.bytes, bytes);
}

TEST(Verify, DamageIsReportedWithItsPath) {
    auto built = sample_tree().build();
    built.set("word:dir/c/leaf#0", 0x02000001);
    built.set("inode:pipe.number", 0);
    const auto report = check(built);
    ASSERT_EQ(report.errors.size(), 2U);
    EXPECT_EQ(report.error_count, 2U);
    EXPECT_TRUE(report.errors[0].context.starts_with("dir/c/leaf: "));
    EXPECT_TRUE(report.errors[1].context.starts_with("pipe: "));
}

TEST(Verify, LinkCountsMustAgree) {
    auto built = sample_tree().build();
    built.set("inode:hard1.nlink", 3);
    ASSERT_EQ(check(built).errors.size(), 1U);
}

}  // namespace
}  // namespace squenv::test
