// SPDX-License-Identifier: MIT
#include "pack/exclude.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

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

TEST(Exclude, WhatIsInsideIsCovered) {
    const ExcludeList list({"*.egg-info/", "/build", "docs/**", "a/**/b", "!keep"});
    for (const char* path : {"x/y.egg-info/PKG-INFO", "build", "build/lib/x", "docs/x",
                             "docs/x/keep", "a/b/inside", "a/1/2/b", "a/1/2/b/3"})
        EXPECT_TRUE(list.covers(path, false)) << path;
    for (const char* path : {"", "y.egg-info", "x/build/y", "docs", "ab/x", "b/a", "keep"})
        EXPECT_FALSE(list.covers(path, false)) << path;
    EXPECT_TRUE(list.covers("y.egg-info", true));
    // A directory that is out takes along what a later pattern takes back.
    EXPECT_TRUE(ExcludeList({"out/", "!out/keep"}).covers("out/keep", false));
    EXPECT_FALSE(ExcludeList({"out/*", "!out/keep"}).covers("out/keep", false));
}

/// What covers() says, by asking for every directory on the way.
bool covers_by_steps(const ExcludeList& list, const std::string& path, bool is_directory) {
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
        if (list.matches(path.substr(0, slash), true)) return true;
    return list.matches(path, is_directory);
}

TEST(Exclude, CoveringIsMatchingOnTheWay) {
    std::mt19937 random(1);
    const std::array<const char*, 8> pieces{"a", "b", "*", "**", "?", "[ab]", "ab", "c"};
    const auto any = [&](std::size_t count) { return std::size_t{random()} % count; };
    const auto joined = [&](std::size_t kinds) {
        std::string text;
        for (std::size_t i = any(5) + 1; i-- > 0;) text += std::string(pieces[any(kinds)]) + '/';
        if (any(3) != 0) text.pop_back();
        return text;
    };
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::string> patterns;
        for (std::size_t i = any(3) + 1; i-- > 0;)
            patterns.push_back((any(4) == 0 ? "!" : "") + joined(pieces.size()));
        const ExcludeList list(patterns);
        std::string path = joined(2);
        while (path.ends_with('/')) path.pop_back();
        for (const bool is_directory : {false, true})
            EXPECT_EQ(list.covers(path, is_directory), covers_by_steps(list, path, is_directory))
                << path << " by " << patterns.front();
    }
}

TEST(Exclude, LongPathsCostNoMoreThanTheirLength) {
    // By every directory on the way this takes 2,048 times as long: minutes.
    std::string path;
    while (path.size() < 4094) path += "a/";
    const ExcludeList list({"*.pyc", "tests/", "**/b/**/c", "/a/a/b", "x/**", "!keep", "?b"});
    for (int i = 0; i < 500; ++i) EXPECT_FALSE(list.covers(path, true));
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
