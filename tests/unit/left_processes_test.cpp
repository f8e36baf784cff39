// SPDX-License-Identifier: MIT
#include "share/left_processes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace squenv::test {
namespace {

std::string environment(const std::string& mounts) {
    return std::string("HOME=/root") + '\0' + "SQUENV_MOUNTS=" + mounts + '\0' + "PATH=/bin" + '\0';
}

TEST(LeftProcesses, PlacesOfTheVariable) {
    using share::names_mountpoint;
    EXPECT_TRUE(names_mountpoint(environment("/a.sqfs:/opt/env"), "/opt/env"));
    EXPECT_TRUE(names_mountpoint(environment("/a.sqfs:/opt/env,/b.sqfs:/x"), "/opt/env"));
    EXPECT_TRUE(names_mountpoint(environment("/b.sqfs:/x,/a.sqfs:/opt/env"), "/opt/env"));
    EXPECT_TRUE(names_mountpoint(environment("/a.sqfs:/opt/a\\,b\\:c"), "/opt/a,b:c"));
    for (const char* mounts : {"", "/a.sqfs:/opt/env2", "/a.sqfs:/opt", "/opt/env:/x",
                               "/a\\:/opt/env:/x", "/a.sqfs:/opt/env\\,x"})
        EXPECT_FALSE(names_mountpoint(environment(mounts), "/opt/env")) << mounts;
}

TEST(LeftProcesses, OtherVariables) {
    using share::names_mountpoint;
    EXPECT_FALSE(names_mountpoint(std::string("X=SQUENV_MOUNTS=/a:/opt/env") + '\0', "/opt/env"));
    EXPECT_FALSE(names_mountpoint("", "/opt/env"));
    EXPECT_FALSE(names_mountpoint(std::string(4, '\0'), "/opt/env"));
    EXPECT_TRUE(names_mountpoint("SQUENV_MOUNTS=/a:/opt/env", "/opt/env")) << "cut at the end";
}

TEST(LeftProcesses, NoneOfAPlaceThatIsNotUsed) {
    EXPECT_FALSE(share::has_left_processes("/no/image/was/ever/here"));
}

/// A shell that has the variable, and everything it starts. The group ends with the object.
class Left {
  public:
    explicit Left(const std::string& script) {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        child_ = ::fork();
        if (child_ == 0) {
            ::setpgid(0, 0);
            ::setenv("SQUENV_MOUNTS", "/a.sqfs:/left/by/a/test", 1);
            ::execl("/bin/sh", "sh", "-c", script.c_str(), "sh", script.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(ends[1]);
        char byte = 0;
        EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "the shell has started";
        ::close(ends[0]);
    }
    Left(const Left&) = delete;
    Left& operator=(const Left&) = delete;
    ~Left() {
        ::kill(-child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    static bool is_found() { return share::has_left_processes("/left/by/a/test"); }

  private:
    pid_t child_ = -1;
};

TEST(LeftProcesses, AProgramThatIsReplacedAllTheTime) {
    const Left left("exec sh -c \"$1\" sh \"$1\"");
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(Left::is_found()) << i;
}

TEST(LeftProcesses, AProgramThatBecomesADaemon) {
    for (int i = 0; i < 100; ++i) {
        const Left left("(sleep 1000 & exit) & exit");
        EXPECT_TRUE(Left::is_found()) << i;
    }
}

}  // namespace
}  // namespace squenv::test
