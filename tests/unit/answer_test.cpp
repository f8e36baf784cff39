// SPDX-License-Identifier: MIT
#include "mount/answer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace squenv::mount {
namespace {

Answer answer(const std::string& text) {
    auto parsed = parse_answer(text);
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Answer::object();
}

TEST(Answer, WhatADaemonSays) {
    const auto said = answer(R"({"pid": 7, "image": "/a", "up": 1.5, "is": true, "in": {"x": 1}})");
    EXPECT_EQ(number_in(said, "pid", 1, kMaxPid), 7U);
    EXPECT_EQ(text_in(said, "image"), "/a");
    EXPECT_EQ(seconds_in(said, "up"), 1.5);
    EXPECT_EQ(seconds_in(said, "pid"), 7.0);
    EXPECT_TRUE(is_set_in(said, "is"));
    EXPECT_EQ(number_in(object_in(said, "in"), "x"), 1U);
}

TEST(Answer, NumbersHaveTheirTypeAndRange) {
    for (const char* text :
         {R"({"pid": "7"})", R"({"pid": "x"})", R"({"pid": 0})", R"({"pid": -1})",
          R"({"pid": -2147483648})", R"({"pid": 4194305})", R"({"pid": 18446744073709551616})",
          R"({"pid": 7.0})", R"({"pid": 1e300})", R"({"pid": null})", R"({"pid": true})",
          R"({"pid": [7]})", R"({"pid": {"pid": 7}})", R"({"PID": 7})", "{}"})
        EXPECT_EQ(number_in(answer(text), "pid", 1, kMaxPid), std::nullopt) << text;
    EXPECT_EQ(number_in(answer(R"({"n": 18446744073709551615})"), "n"), ~std::uint64_t{0});
}

TEST(Answer, OtherTypesAreNothing) {
    const auto said = answer(R"({"a": 7, "b": "yes", "c": [1], "d": -1.5, "e": null})");
    for (const char* key : {"a", "c", "d", "e", "f"}) EXPECT_EQ(text_in(said, key), std::nullopt);
    for (const char* key : {"b", "c", "d", "e", "f"})
        EXPECT_EQ(seconds_in(said, key), std::nullopt);
    for (const char* key : {"a", "b", "c", "e", "f"}) {
        EXPECT_FALSE(is_set_in(said, key));
        EXPECT_TRUE(object_in(said, key).empty());
    }
    const Answer number = said["a"];
    EXPECT_EQ(number_in(number, "a"), std::nullopt) << "no object at all";
}

TEST(Answer, WhatIsNoObjectIsRefused) {
    for (const std::string& text :
         {std::string(), std::string("[1]"), std::string("7"), std::string("\"x\""),
          std::string("null"), std::string("{"), std::string("{\"a\": 1e999}"),
          std::string("{\"a\": \"\xff\"}"), std::string(8000, '['),
          "{\"a\": " + std::string(1000, '[') + std::string(1000, ']') + '}'}) {
        const auto parsed = parse_answer(text);
        ASSERT_FALSE(parsed) << text.substr(0, 20);
        EXPECT_EQ(parsed.error().code, Errc::unsupported);
    }
}

}  // namespace
}  // namespace squenv::mount
