// SPDX-License-Identifier: MIT
#include "base/process.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace squenv {
namespace {

namespace fs = std::filesystem;

class FindProgram : public ::testing::Test {
  protected:
    FindProgram() {
        std::string name = (fs::temp_directory_path() / "squenv-process-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        for (const char* directory : {"one", "two"}) fs::create_directory(root_ / directory);
        add("two/tool", 0755);
        add("one/text", 0644);
        add("two/text", 0755);
    }
    ~FindProgram() override { fs::remove_all(root_); }
    void add(const std::string& path, mode_t mode) const {
        std::ofstream(root_ / path) << "#!/bin/sh\n";
        ASSERT_EQ(::chmod((root_ / path).c_str(), mode), 0);
    }
    [[nodiscard]] std::string path() const {
        return (root_ / "one").string() + ':' + (root_ / "two").string();
    }

    fs::path root_;
};

TEST_F(FindProgram, TakesTheFirstThatFits) {
    EXPECT_EQ(find_program("tool", path()), root_ / "two/tool");
    EXPECT_EQ(find_program("text", path()), root_ / "two/text");
    EXPECT_EQ(find_program("text", path(), F_OK), root_ / "one/text");
    EXPECT_EQ(find_program("nothing", path()), "");
    EXPECT_EQ(find_program("", path()), "");
}

TEST_F(FindProgram, ASlashSkipsTheSearch) {
    EXPECT_EQ(find_program((root_ / "two/tool").string(), ""), root_ / "two/tool");
    EXPECT_EQ(find_program("two/tool", path()), "");
}

TEST_F(FindProgram, AnEmptyEntryIsTheCurrentDirectory) {
    const fs::path before = fs::current_path();
    fs::current_path(root_ / "two");
    EXPECT_EQ(find_program("tool", ""), "./tool");
    EXPECT_EQ(find_program("tool", (root_ / "one").string() + ':'), "./tool");
    fs::current_path(before);
}

ProgramStart shell(const std::string& text) {
    return {{"/bin/sh", "-c", text}, {"NAME=value"}};
}

TEST(Process, CapturesOutputAndStatus) {
    const auto captured = capture(shell("echo \"$NAME\"; exit 3"));
    ASSERT_TRUE(captured);
    EXPECT_EQ(captured->output, "value\n");
    EXPECT_EQ(captured->end.status, 3);
    EXPECT_FALSE(captured->end.was_killed);
    EXPECT_EQ(captured->end.shell_status(), 3);
}

TEST(Process, TellsTheSignal) {
    const auto captured = capture(shell("kill -9 $$"));
    ASSERT_TRUE(captured);
    EXPECT_TRUE(captured->end.was_killed);
    EXPECT_EQ(captured->end.shell_status(), 137);
}

TEST(Process, DescriptorsCanBeConnectedOrSilent) {
    ProgramStart program = shell("echo text; echo errors >&2; read line || exit 5");
    program.errors = -1;
    program.input = -1;
    const auto captured = capture(program);
    ASSERT_TRUE(captured);
    EXPECT_EQ(captured->output, "text\n");
    EXPECT_EQ(captured->end.status, 5);
}

TEST(Process, WhatIsMissingIsNamed) {
    const auto child = start_program({{"/nonexistent/tool"}, {}});
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().code, Errc::not_found);
    EXPECT_EQ(child.error().context, "/nonexistent/tool");
}

TEST(Process, AGroupIsStoppedOnRequest) {
    ProgramStart program = shell("/bin/sleep 600 & wait");
    program.has_own_group = true;
    const auto child = start_program(program);
    ASSERT_TRUE(child);
    const std::atomic<bool> cancel{true};
    const auto end = wait_for(*child, cancel);
    ASSERT_TRUE(end);
    EXPECT_TRUE(end->was_killed);
    EXPECT_EQ(end->status, SIGTERM);
}

TEST(Process, WaitsForOneThatIsNotStopped) {
    ProgramStart program = shell("exit 4");
    program.has_own_group = true;
    const auto child = start_program(program);
    ASSERT_TRUE(child);
    const std::atomic<bool> cancel{false};
    const auto end = wait_for(*child, cancel);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->status, 4);
}

}  // namespace
}  // namespace squenv
