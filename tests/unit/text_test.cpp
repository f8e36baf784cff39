// SPDX-License-Identifier: MIT
#include "base/text.h"

#include <gtest/gtest.h>

namespace squenv {
namespace {

TEST(Text, SpecialCharactersGetABackslash) {
    EXPECT_EQ(escaped("a,b:c\\", ",:"), "a\\,b\\:c\\\\");
    EXPECT_EQ(escaped("plain", ",:"), "plain");
}

TEST(Text, ControlCharactersAreWritten) {
    EXPECT_EQ(printable("a\x1b[31m\x7f"), "a\\x1b[31m\\x7f");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m"),
              "\\x9b31m");
    EXPECT_EQ(printable("\xc3\xa4"), "\xc3\xa4");
    EXPECT_EQ(printable("a\nb"), "a\\x0ab");
}

TEST(Text, LinesOfAMessageStayLines) {
    EXPECT_EQ(printable_lines("one\n  two\nthree"), "one\n  two\\x0athree");
    EXPECT_EQ(printable_lines(""), "");
}

}  // namespace
}  // namespace squenv
