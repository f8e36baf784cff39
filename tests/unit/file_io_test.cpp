// SPDX-License-Identifier: MIT
#include "base/file_io.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/unique_fd.h"

namespace squenv::test {
namespace {

TEST(FileContent, OfAFileWithoutASize) {
    const auto text = file_content("/proc/self/status");
    ASSERT_TRUE(text);
    EXPECT_NE(text->find(fmt::format("\nPid:\t{}\n", ::getpid())), std::string::npos);
}

TEST(FileContent, Failures) {
    EXPECT_EQ(file_content("/proc/self/none").error().sys_errno, ENOENT);
    EXPECT_EQ(file_content("/proc/self").error().sys_errno, EISDIR);
    EXPECT_NE(file_content("/proc/self").error().message().find("/proc/self"), std::string::npos);
}

/// A process may end between open(2) and read(2).
TEST(FileContent, OfAProcessThatEnded) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto file = open_file(fmt::format("/proc/{}/stat", child), O_RDONLY);
    ASSERT_TRUE(file);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto text = read_to_end(file->get());
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().sys_errno, ESRCH);
}

}  // namespace
}  // namespace squenv::test
