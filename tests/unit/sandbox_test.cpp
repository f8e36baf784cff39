// SPDX-License-Identifier: MIT
#include "daemon/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

#include "base/file_io.h"
#include "base/sanitizers.h"
#include "base/unique_fd.h"

namespace squenv::test {
namespace {

/// The errno value of `attempt` in a process that has given up what a daemon gives up; 0 when it
/// succeeds, -1 when the process died of it.
int in_sandbox(const std::function<bool()>& attempt) {
    const pid_t child = ::fork();
    if (child == 0) {
        daemon::drop_privileges();
        daemon::restrict_system_calls();
        ::_exit(attempt() ? 0 : errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Sandbox : public testing::Test {
  protected:
    void SetUp() override {
#if !defined(__x86_64__)
        GTEST_SKIP() << "system calls are filtered on x86-64 only";
#endif
        if (SQUENV_HAS_SANITIZER != 0) GTEST_SKIP() << "the sanitizer's build has no filter";
    }
};

TEST_F(Sandbox, NoOtherProcessCanBeSignalled) {
    EXPECT_EQ(in_sandbox([] { return ::kill(::getppid(), 0) == 0; }), EPERM);
    EXPECT_EQ(in_sandbox([] { return ::kill(-1, 0) == 0; }), EPERM);
    EXPECT_EQ(in_sandbox([] { return ::tgkill(::getppid(), ::getppid(), 0) == 0; }), EPERM);
}

TEST_F(Sandbox, ItCanStillEndItself) {
    const pid_t child = ::fork();
    if (child == 0) {
        daemon::drop_privileges();
        daemon::restrict_system_calls();
        std::abort();
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGABRT);
}

TEST_F(Sandbox, NoCodeCanBeMapped) {
    const auto map = [](int protection) {
        return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    };
    EXPECT_EQ(in_sandbox([&] { return map(PROT_READ | PROT_WRITE | PROT_EXEC) != MAP_FAILED; }),
              EPERM);
    EXPECT_EQ(in_sandbox([&] {
                  void* memory = map(PROT_READ | PROT_WRITE);
                  return memory != MAP_FAILED && ::mprotect(memory, 4096, PROT_EXEC) == 0;
              }),
              EPERM);
    EXPECT_EQ(in_sandbox([&] { return map(PROT_READ | PROT_WRITE) != MAP_FAILED; }), 0);
}

TEST_F(Sandbox, NoFileCanBeOpenedOrLookedAt) {
    struct stat info {};
    EXPECT_EQ(in_sandbox([] { return ::open("/etc/passwd", O_RDONLY) >= 0; }), EPERM);
    EXPECT_EQ(in_sandbox([&] { return ::stat("/etc/passwd", &info) == 0; }), EPERM);
    EXPECT_EQ(in_sandbox([&] { return ::lstat("/", &info) == 0; }), EPERM);
}

TEST_F(Sandbox, WhatIsOpenCanBeUsed) {
    const auto file = open_file("/etc/passwd", O_RDONLY);
    ASSERT_TRUE(file);
    EXPECT_EQ(in_sandbox([&] {
                  char byte = 0;
                  struct stat info {};
                  return ::pread(file->get(), &byte, 1, 0) == 1 &&
                         stat_open_file(file->get(), info) && S_ISREG(info.st_mode);
              }),
              0);
}

TEST_F(Sandbox, NothingIsStartedOrConnected) {
    EXPECT_EQ(in_sandbox([] { return ::fork() >= 0; }), EPERM);
    EXPECT_EQ(in_sandbox([] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }), EPERM);
    EXPECT_EQ(in_sandbox([] { return ::execl("/bin/true", "true", nullptr) == 0; }), EPERM);
}

TEST_F(Sandbox, RootIsLeft) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root has anything to leave";
    const pid_t child = ::fork();
    if (child == 0) {
        daemon::drop_privileges();
        ::_exit(::getuid() == 65534 && ::geteuid() == 65534 && ::setuid(0) != 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace squenv::test
