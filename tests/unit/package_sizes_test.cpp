// SPDX-License-Identifier: MIT
#include "cli/package_sizes.h"

#include <gtest/gtest.h>

#include "pack/tree_builder.h"

namespace squenv::cli {
namespace {

/// A file of `size` bytes; those of the same inode number above 0 are hard links.
void add_file(pack::TreeBuilder& builder, const std::string& path, std::uint64_t size,
              std::uint64_t inode = 0) {
    const auto node = builder.at(path);
    ASSERT_TRUE(node);
    (*node)->type = format::InodeType::file;
    (*node)->size_bytes = size;
    (*node)->source_inode = inode;
    (*node)->is_hard_linked = inode != 0;
}

TEST(PackageSizes, AreThoseOfTheEntriesOfOneDirectory) {
    pack::TreeBuilder builder;
    add_file(builder, "lib/site/small/a", 10);
    add_file(builder, "lib/site/large/deep/b", 100);
    add_file(builder, "lib/site/large/c", 1);
    add_file(builder, "lib/site/one.py", 50);
    add_file(builder, "lib/other/d", 1000);
    pack::Tree tree = builder.build();
    const auto sizes = package_sizes(tree, "lib/site");
    ASSERT_EQ(sizes.size(), 3U);
    EXPECT_EQ(sizes[0].name, "large");
    EXPECT_EQ(sizes[0].bytes, 101U);
    EXPECT_EQ(sizes[1].name, "one.py");
    EXPECT_EQ(sizes[2].name, "small");
    EXPECT_TRUE(package_sizes(tree, "lib/nothing").empty());
}

TEST(PackageSizes, CountAnInodeOnce) {
    pack::TreeBuilder builder;
    add_file(builder, "site/a/file", 10, 7);
    add_file(builder, "site/b/link", 10, 7);
    add_file(builder, "site/b/other", 5);
    pack::Tree tree = builder.build();
    const auto sizes = package_sizes(tree, "site");
    ASSERT_EQ(sizes.size(), 2U);
    EXPECT_EQ(sizes[0].name, "a");
    EXPECT_EQ(sizes[0].bytes, 10U);
    EXPECT_EQ(sizes[1].bytes, 5U);
}

}  // namespace
}  // namespace squenv::cli
