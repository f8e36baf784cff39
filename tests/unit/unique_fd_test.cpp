// SPDX-License-Identifier: MIT
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

namespace squenv {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFd, ClosesWhatItOwns) {
    int raw = -1;
    {
        const auto fd = open_file("/dev/null", O_RDONLY);
        ASSERT_TRUE(fd);
        raw = fd->get();
        EXPECT_TRUE(is_open(raw));
    }
    EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, MovesAndReleases) {
    auto fd = std::move(*open_file("/dev/null", O_RDONLY));
    const int raw = fd.get();
    UniqueFd other(std::move(fd));
    EXPECT_FALSE(fd);  // NOLINT: the moved-from state is what is tested
    EXPECT_EQ(other.get(), raw);
    UniqueFd third;
    third = std::move(other);
    EXPECT_EQ(third.release(), raw);
    EXPECT_TRUE(is_open(raw));
    third.reset(raw);
    third.reset();
    EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, OpenedFilesAreNotInherited) {
    const auto fd = open_file("/dev/null", O_RDONLY);
    ASSERT_TRUE(fd);
    EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(UniqueFd, NeverTakesTheStandardDescriptors) {
    const int saved = ::dup(0);
    ::close(0);
    {
        const auto fd = open_file("/dev/null", O_RDONLY);
        ASSERT_TRUE(fd);
        EXPECT_GT(fd->get(), 2);
        EXPECT_FALSE(is_open(0));
    }
    guard_standard_fds();
    EXPECT_TRUE(is_open(0));
    ::dup2(saved, 0);
    ::close(saved);
}

TEST(UniqueFd, FailureNamesTheFile) {
    const auto fd = open_file("/nonexistent/file", O_RDONLY);
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.error().code, Errc::not_found);
    EXPECT_EQ(fd.error().message(), "/nonexistent/file: No such file or directory");
}

}  // namespace
}  // namespace squenv
