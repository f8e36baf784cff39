// SPDX-License-Identifier: MIT
#include "base/remote_error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace squenv {
namespace {

TEST(RemoteError, ArrivesAsItWasSent) {
    const Error sent{Errc::busy, EBUSY, "a/b: is in use", "unmount it"};
    const auto arrived = decode_error(encode_error(sent));
    ASSERT_TRUE(arrived);
    EXPECT_EQ(arrived->code, sent.code);
    EXPECT_EQ(arrived->sys_errno, sent.sys_errno);
    EXPECT_EQ(arrived->context, sent.context);
    EXPECT_EQ(arrived->hint, sent.hint);
    const auto empty = decode_error(encode_error(Error{}));
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->message(), "");
}

TEST(RemoteError, IsCutToFitAPipe) {
    const Error sent{Errc::io, 0, std::string(10'000, 'c'), std::string(10'000, 'h')};
    const std::string bytes = encode_error(sent);
    EXPECT_EQ(bytes.size(), kMaxRemoteError);
    const auto arrived = decode_error(bytes);
    ASSERT_TRUE(arrived);
    EXPECT_EQ(arrived->context, std::string(arrived->context.size(), 'c'));
    EXPECT_GE(arrived->context.size(), 3000U);
    EXPECT_GE(arrived->hint.size(), 1000U);
}

TEST(RemoteError, OtherBytesAreNone) {
    const std::string bytes = encode_error({Errc::denied, EACCES, "context", "hint"});
    EXPECT_FALSE(decode_error(""));
    EXPECT_FALSE(decode_error("done"));
    EXPECT_FALSE(decode_error(std::string(100, 'x')));
    // Up to the end of the context; a hint has no length of its own.
    for (std::size_t size = 0; size + 4 < bytes.size(); ++size)
        EXPECT_FALSE(decode_error(bytes.substr(0, size))) << size;
    std::string unknown = bytes;
    unknown[4] = 99;
    EXPECT_FALSE(decode_error(unknown));
}

}  // namespace
}  // namespace squenv
