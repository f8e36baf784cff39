// SPDX-License-Identifier: MIT
// Directories that paths imply: two bytes of an archive are enough for one, so each must be small.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "allocation.h"
#include "pack/tree_builder.h"

namespace squenv::pack {
namespace {

constexpr std::size_t kPaths = 50;
constexpr std::size_t kDepth = 2047;  // with a name at the end as deep as PATH_MAX allows
constexpr std::size_t kDirectories = kPaths * kDepth;

std::string deep_path(std::size_t number) {
    std::string path = fmt::format("{:03}/", number);
    for (std::size_t i = 1; i < kDepth; ++i) path += "a/";
    return path;
}

TEST(ImpliedDirectories, AreSmallUntilTheTreeIsBuilt) {
    const test::AllocationWatch watch;
    TreeBuilder builder;
    for (std::size_t i = 0; i < kPaths; ++i) ASSERT_TRUE(builder.at(deep_path(i) + "f"));
    // 40 bytes each, half as many again while the index grows. A node of the tree has 100.
    EXPECT_LT(watch.peak_bytes() / kDirectories, 80U);
}

TEST(ImpliedDirectories, CostLittleMoreThanTheTree) {
    const test::AllocationWatch watch;
    TreeBuilder builder;
    for (std::size_t i = 0; i < kPaths; ++i)
        (*builder.at(deep_path(i) + "f"))->type = format::InodeType::file;
    const Tree tree = builder.build();
    ASSERT_EQ(tree.nodes.size(), 1 + kDirectories + kPaths);
    EXPECT_LT(watch.peak_bytes() / kDirectories, 2 * sizeof(Node));
    const EntryId file = tree.find(deep_path(kPaths - 1) + "f");
    ASSERT_NE(file, kNoEntry);
    EXPECT_EQ(tree.at(file).type, format::InodeType::file);
    EXPECT_EQ(tree.at(tree.at(file).parent).mode, 0755);
    EXPECT_EQ(tree.path_of(file), deep_path(kPaths - 1) + "f");
}

TEST(ImpliedDirectories, OfOneNameDoNotCrowdTheIndex) {
    // In a list of all entries of a hash this takes hours.
    TreeBuilder builder;
    for (std::size_t i = 0; i < 300'000; ++i) ASSERT_TRUE(builder.at(fmt::format("{}/a", i)));
    EXPECT_EQ(builder.build().nodes.size(), 600'001U);
}

}  // namespace
}  // namespace squenv::pack
