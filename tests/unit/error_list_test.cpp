// SPDX-License-Identifier: MIT
#include "base/error_list.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace squenv {
namespace {

TEST(ErrorList, CountsAllAndKeepsTheFirst) {
    ErrorList list;
    for (int i = 0; i < 2500; ++i) list.add(std::to_string(i), Error{Errc::io, EIO, "read", {}});
    EXPECT_EQ(list.count(), 2500U);
    const auto kept = list.take();
    ASSERT_EQ(kept.size(), ErrorList::kMaxKept);
    EXPECT_EQ(kept.front().context, "0: read");
    EXPECT_EQ(kept.back().context, "999: read");
    EXPECT_EQ(kept.back().sys_errno, EIO);
    EXPECT_EQ(list.count(), 2500U);
}

TEST(ErrorList, TheRootHasAName) {
    ErrorList list;
    list.add("", Error{Errc::corrupt, 0, "inode 1", {}});
    list.add(Error{Errc::corrupt, 0, "no object", {}});
    const auto kept = list.take();
    EXPECT_EQ(kept[0].context, "/: inode 1");
    EXPECT_EQ(kept[1].context, "no object");
}

TEST(ErrorList, KeepsPathsApart) {
    ErrorList list;
    list.add("a: b", Error{Errc::denied, EROFS, "create", {}});
    const auto kept = list.take_objects();
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept[0].path, "a: b");
    EXPECT_EQ(kept[0].error.context, "create");
    EXPECT_EQ(kept[0].joined().context, "a: b: create");
    EXPECT_TRUE(list.take_objects().empty());
}

TEST(ErrorList, LongPathsLoseTheirMiddle) {
    ErrorList list;
    list.add("begin/" + std::string(1 << 20, 'p'), Error{Errc::corrupt, 0, "the reason", {}});
    const auto kept = list.take();
    EXPECT_EQ(kept[0].context.size(), ObjectError::kMaxContext);
    EXPECT_TRUE(kept[0].context.starts_with("begin/pp"));
    EXPECT_TRUE(kept[0].context.ends_with("p: the reason"));
}

}  // namespace
}  // namespace squenv
