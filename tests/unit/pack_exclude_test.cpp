// SPDX-License-Identifier: MIT
#include "pack/exclude.h"

#include <gtest/gtest.h>

namespace squenv::pack {
namespace {

bool excludes(const std::vector<std::string>& patterns, const std::string& path,
              bool is_directory = false) {
    return ExcludeList(patterns).matches(path, is_directory);
}

TEST(Exclude, NamesMatchAtAnyDepth) {
    EXPECT_TRUE(excludes({"*.tmp"}, "a.tmp"));
    EXPECT_TRUE(excludes({"*.tmp"}, "x/y/a.tmp"));
    EXPECT_FALSE(excludes({"*.tmp"}, "a.tmp.txt"));
    EXPECT_TRUE(excludes({"__pycache__"}, "lib/__pycache__", true));
    EXPECT_TRUE(excludes({"a?c"}, "abc"));
    EXPECT_TRUE(excludes({"[ab].c"}, "b.c"));
    EXPECT_FALSE(excludes({"[!ab].c"}, "b.c"));
}

TEST(Exclude, SlashesAnchor) {
    EXPECT_TRUE(excludes({"/top"}, "top"));
    EXPECT_FALSE(excludes({"/top"}, "a/top"));
    EXPECT_TRUE(excludes({"a/b"}, "a/b"));
    EXPECT_FALSE(excludes({"a/b"}, "x/a/b"));
    EXPECT_FALSE(excludes({"a/*"}, "a/b/c"));
    EXPECT_TRUE(excludes({"a/*"}, "a/b"));
}

TEST(Exclude, SlashAtTheEndMeansDirectories) {
    EXPECT_TRUE(excludes({"logs/"}, "x/logs", true));
    EXPECT_FALSE(excludes({"logs/"}, "x/logs", false));
}

TEST(Exclude, TwoStarsStandForDirectories) {
    EXPECT_TRUE(excludes({"**/foo"}, "foo"));
    EXPECT_TRUE(excludes({"**/foo"}, "a/b/foo"));
    EXPECT_TRUE(excludes({"a/**/b"}, "a/b"));
    EXPECT_TRUE(excludes({"a/**/b"}, "a/x/y/b"));
    EXPECT_FALSE(excludes({"a/**/b"}, "x/a/b"));
    EXPECT_TRUE(excludes({"a/**"}, "a/x"));
    EXPECT_TRUE(excludes({"a/**"}, "a/x/y"));
    EXPECT_FALSE(excludes({"a/**"}, "a", true));
}

TEST(Exclude, TheLastMatchDecides) {
    const std::vector<std::string> patterns{"*.so", "!keep.so", "/lib/keep.so"};
    EXPECT_TRUE(excludes(patterns, "a.so"));
    EXPECT_FALSE(excludes(patterns, "x/keep.so"));
    EXPECT_TRUE(excludes(patterns, "lib/keep.so"));
}

TEST(Exclude, CommentsAndBlanks) {
    EXPECT_FALSE(excludes({"# a", "", "   ", "/", "!"}, "# a"));
    EXPECT_TRUE(excludes({"\\#a"}, "#a"));
    EXPECT_TRUE(excludes({"\\!a"}, "!a"));
    EXPECT_TRUE(excludes({"name   "}, "name"));
    EXPECT_TRUE(excludes({"name\\ "}, "name "));
    EXPECT_TRUE(excludes({"dos\r"}, "dos"));
}

TEST(Exclude, CostIsBounded) {
    std::string pattern = "a";
    std::string path = "a";
    for (int i = 0; i < 60; ++i) pattern += "/**/a";
    for (int i = 0; i < 400; ++i) path += "/a";
    EXPECT_TRUE(excludes({pattern}, path));
    EXPECT_FALSE(excludes({pattern + "/b"}, path));
}

}  // namespace
}  // namespace squenv::pack
