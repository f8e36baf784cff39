// SPDX-License-Identifier: MIT
#include "run/refusals.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace squenv::run {
namespace {

TEST(Refusals, ALineForEachWayAndForWhatWouldHelp) {
    const Error device{Errc::environment, ENOENT, "/dev/fuse", "load it"};
    const Error place{Errc::exists, 0, "/v: something is there", "move it away"};
    EXPECT_EQ(refusal_text("i: no way to have it at /v",
                           {{"fusermount", device}, {"extract", place}}, "ask the doctor"),
              "i: no way to have it at /v\n"
              "  fusermount: /dev/fuse: No such file or directory\n"
              "  extract: /v: something is there\n"
              "  what would help: load it\n"
              "  what would help: move it away\n"
              "  ask the doctor");
}

TEST(Refusals, NothingIsSaidTwice) {
    const Error namespaces{Errc::environment, EPERM, "unshare", "allow them"};
    EXPECT_EQ(refusal_text(
                  "i", {{"userns", namespaces}, {"bind mount", namespaces}, {"userns", namespaces}},
                  "ask"),
              "i\n"
              "  userns, bind mount: unshare: Operation not permitted\n"
              "  what would help: allow them\n"
              "  ask");
}

TEST(Refusals, WaysThatDifferInWhatHelpsShareTheirReason) {
    const Error one{Errc::denied, EACCES, "/v", "first"};
    const Error other{Errc::denied, EACCES, "/v", "second"};
    EXPECT_EQ(refusal_text("i", {{"a", one}, {"b", other}}, "ask"),
              "i\n  a, b: /v: Permission denied\n  what would help: first\n"
              "  what would help: second\n  ask");
}

TEST(Refusals, ANewlineInANameMakesNoLine) {
    const Error error{Errc::denied, 0, "/a\n  forged", "b\n  c"};
    const auto text = refusal_text("i\n  j", {{"w", error}}, "k\n  l");
    EXPECT_EQ(text, "i\\x0a  j\n  w: /a\\x0a  forged\n  what would help: b\\x0a  c\n  k\\x0a  l");
}

TEST(Refusals, WithoutAnyWay) {
    EXPECT_EQ(refusal_text("i", {}, "ask"), "i\n  ask");
}

}  // namespace
}  // namespace squenv::run
