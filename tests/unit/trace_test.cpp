// SPDX-License-Identifier: MIT
#include "trace/trace.h"

#include <gtest/gtest.h>

namespace squenv::trace {
namespace {

Trace sample() {
    Trace trace;
    trace.requests = {{"lookup", 3}, {"read", 2}};
    trace.slowest = {{900, "read", 4096, 131072, "lib/a b.so"}};
    trace.items = {{Use::list, ".", 0, 0},
                   {Use::look, "lib", 0, 0},
                   {Use::read, "lib/a b.so", 4096, 131072},
                   {Use::link, "lib64", 0, 0},
                   {Use::miss, "lib/none", 0, 0}};
    return trace;
}

TEST(Trace, ComesBackFromItsText) {
    const auto parsed = parse(encode(sample()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, sample());
}

TEST(Trace, ControlCharactersAndBackslashesAreEscaped) {
    Trace trace;
    trace.items = {{Use::look, "a\nb\\c\x01\x7f\xc3\xa4", 0, 0}};
    const std::string text = encode(trace);
    EXPECT_NE(text.find("look a\\012b\\134c\\001\\177\xc3\xa4\n"), std::string::npos) << text;
    const auto parsed = parse(text);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, trace);
}

TEST(Trace, WithoutItsEndItIsNone) {
    std::string text = encode(sample());
    text.resize(text.size() - 4);
    EXPECT_FALSE(parse(text));
    EXPECT_FALSE(parse(""));
    EXPECT_FALSE(parse("squenv-trace 2\nend\n"));
}

TEST(Trace, CommentsAndEmptyLinesDoNotCount) {
    const auto parsed = parse("squenv-trace 1\n\n# of Monday\nlook a\nend\n");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->items.size(), 1U);
}

TEST(Trace, DamagedLinesAreNamed) {
    for (const char* line :
         {"peek a", "look", "read 1 a", "read x 1 a", "read 1 2", "read 9223372036854775807 1 a",
          "look a\\9", "look a\\00", "look a\\000", "requests read", "requests read x",
          "slow 1 read", "full of it", "end of it"}) {
        const auto parsed = parse(std::string("squenv-trace 1\nlook a\n") + line + "\nend\n");
        ASSERT_FALSE(parsed) << line;
        EXPECT_EQ(parsed.error().code, Errc::corrupt);
        EXPECT_NE(parsed.error().message().find("line 3"), std::string::npos) << line;
    }
    EXPECT_FALSE(parse("squenv-trace 1\nend\nlook a\n"));
    for (const char* line : {"look a", "miss a", "read 0 1 a", "slow 1 read 0 1 a"}) {
        const std::string path = std::string(line) + '\0' + "b";
        EXPECT_FALSE(parse("squenv-trace 1\n" + path + "\nend\n")) << line << " with a NUL";
    }
}

TEST(Trace, MergingKeepsTheOrderAndAddsWhatIsNew) {
    Trace first;
    first.requests = {{"read", 2}};
    first.items = {{Use::look, "a", 0, 0}, {Use::read, "a", 0, 100}, {Use::read, "a", 300, 100}};
    Trace second;
    second.requests = {{"read", 1}, {"lookup", 4}};
    second.items = {{Use::look, "b", 0, 0}, {Use::read, "a", 50, 400}, {Use::look, "a", 0, 0}};
    const Trace merged = merge(first, second);
    const std::vector<Item> expected = {{Use::look, "a", 0, 0},     {Use::read, "a", 0, 100},
                                        {Use::read, "a", 300, 100}, {Use::look, "b", 0, 0},
                                        {Use::read, "a", 100, 200}, {Use::read, "a", 400, 50}};
    EXPECT_EQ(merged.items, expected);
    EXPECT_EQ(merged.requests.at("read"), 3U);
    EXPECT_EQ(merged.requests.at("lookup"), 4U);
}

TEST(Trace, MergingWithItselfChangesNothing) {
    const Trace once = merge(sample(), {});
    EXPECT_EQ(merge(once, once).items, once.items);
    EXPECT_EQ(once.items, sample().items);
}

TEST(Trace, ReadsThatContinueEachOtherAreOne) {
    Trace trace;
    trace.items = {{Use::read, "a", 0, 10},
                   {Use::read, "a", 10, 10},
                   {Use::read, "b", 0, 5},
                   {Use::read, "a", 15, 10}};
    const std::vector<Item> expected = {
        {Use::read, "a", 0, 20}, {Use::read, "b", 0, 5}, {Use::read, "a", 20, 5}};
    EXPECT_EQ(merge(trace, {}).items, expected);
}

TEST(Trace, OnlyTheSlowestRequestsAreKept) {
    Trace first;
    Trace second;
    for (std::uint64_t i = 0; i < kMaxSlow; ++i) {
        first.slowest.push_back({100 - i, "read", 0, 1, "a"});
        second.slowest.push_back({200 - i, "read", 0, 1, "b"});
    }
    const Trace merged = merge(first, second);
    ASSERT_EQ(merged.slowest.size(), kMaxSlow);
    EXPECT_EQ(merged.slowest.front().microseconds, 200U);
    EXPECT_EQ(merged.slowest.back().path, "b");
}

}  // namespace
}  // namespace squenv::trace
