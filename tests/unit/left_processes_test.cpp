// SPDX-License-Identifier: MIT
#include "share/left_processes.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace squenv::test
