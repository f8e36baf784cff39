// SPDX-License-Identifier: MIT
#include "cli/finding_lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace squenv::cli {
namespace {

using Lines = std::vector<std::string>;

TEST(FindingLines, AreOneForEachReason) {
    EXPECT_EQ(finding_lines({}, false), Lines{});
    EXPECT_EQ(finding_lines({{"a", "grew"}}, false), Lines{"a: grew"});
    const std::vector<Fault> faults{{"a", "grew"}, {"b", "shrank"}, {"c", "grew"}, {"d", "grew"}};
    EXPECT_EQ(finding_lines(faults, false), (Lines{"a, c, d: grew", "b: shrank"}));
}

TEST(FindingLines, CountWhatTheyDoNotName) {
    std::vector<Fault> faults;
    for (int i = 0; i < 1000; ++i) faults.push_back({std::to_string(i), "grew"});
    EXPECT_EQ(finding_lines(faults, false), Lines{"0, 1, 2 and 997 more: grew"});
}

TEST(FindingLines, NameEverythingWhenAsked) {
    const std::vector<Fault> faults{{"a", "grew"}, {"b", "grew"}, {"a\n", "shrank"}};
    EXPECT_EQ(finding_lines(faults, true), (Lines{"a: grew", "b: grew", "a\\x0a: shrank"}));
}

}  // namespace
}  // namespace squenv::cli
