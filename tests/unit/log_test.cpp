// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace squenv {
namespace {

TEST(RateLimit, LetsABurstThroughAndCountsTheRest) {
    log::RateLimit limit(3, std::chrono::seconds(1000));
    std::uint64_t suppressed = 99;
    int allowed = 0;
    for (int i = 0; i < 10; ++i)
        if (limit.allow(suppressed)) ++allowed;
    EXPECT_EQ(allowed, 3);
    EXPECT_EQ(suppressed, 0U);
}

TEST(RateLimit, TheNextWindowTellsHowManyWereSuppressed) {
    log::RateLimit limit(1, std::chrono::seconds(0));  // every message begins a window
    std::uint64_t suppressed = 0;
    EXPECT_TRUE(limit.allow(suppressed));
    EXPECT_TRUE(limit.allow(suppressed));
    EXPECT_EQ(suppressed, 0U);
}

TEST(RateLimit, NeverLetsMoreThroughWithManyThreads) {
    log::RateLimit limit(5, std::chrono::seconds(1000));
    std::atomic<int> allowed = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                std::uint64_t suppressed = 0;
                for (int i = 0; i < 1000; ++i)
                    if (limit.allow(suppressed)) ++allowed;
            });
    }
    // A burst may pass before the thread that begins the window starts the count anew.
    EXPECT_GE(allowed, 5);
    EXPECT_LE(allowed, 5 + 5);
}

TEST(Log, WritesToAFileFromItsLevelOn) {
    std::string path = testing::TempDir() + "squenv-log-XXXXXX";
    const int fd = ::mkstemp(path.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
    ASSERT_TRUE(log::start(path, log::Level::info));
    log::debug("not {}", "this");
    log::info("image {{}} {}", 5);
    log::error("braces in a name: {}", "{}");
    log::stop();
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str().find("not this"), std::string::npos);
    EXPECT_NE(text.str().find("info: image {} 5"), std::string::npos);
    EXPECT_NE(text.str().find("error: braces in a name: {}"), std::string::npos);
    ::unlink(path.c_str());
    log::warning("after the end: {}", "must be harmless");
}

TEST(Log, NamesCannotWriteLinesOfTheirOwn) {
    std::string path = testing::TempDir() + "squenv-log-XXXXXX";
    const int fd = ::mkstemp(path.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
    ASSERT_TRUE(log::start(path, log::Level::info));
    log::info("{}: mounted", "/a\nsquenv: error: all is lost\r\x1b[31m\x7f");
    log::write(log::Level::error,
               "\xc2\x9b"
               "31m \xc3\xa9 \t");
    log::stop();
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[0].find("/a\\x0asquenv: error: all is lost\\x0d\\x1b[31m\\x7f: mounted"),
              std::string::npos)
        << lines[0];
    EXPECT_NE(lines[1].find("\\x9b31m \xc3\xa9 \\x09"), std::string::npos) << lines[1];
    ::unlink(path.c_str());
}

TEST(Log, AnUnwritableDestinationIsAnError) {
    const auto status = log::start("/dev/null/directory/log", log::Level::info);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message().find("--log"), std::string::npos);
}

TEST(Log, AMissingDirectoryIsNotMade) {
    const std::string directory = testing::TempDir() + "squenv-no-such-directory";
    const auto status = log::start(directory + "/below/log", log::Level::info);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::not_found);
    for (const char* part : {"/below/log: No such file", "'mkdir -p ", "/below'", "--log"})
        EXPECT_NE(status.error().message().find(part), std::string::npos)
            << status.error().message();
    EXPECT_NE(::access(directory.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace squenv
