// SPDX-License-Identifier: MIT
#include "venv/interpreter.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "venv/kind.h"

namespace squenv::venv {
namespace {

namespace fs = std::filesystem;

/// An environment of Python 3.11 in "env", and interpreters that it may lead to in "opt/bin".
class InterpreterTest : public ::testing::Test {
  protected:
    InterpreterTest() {
        std::string name = (fs::temp_directory_path() / "squenv-interpreter-XXXXXX").string();
        top_ = ::mkdtemp(name.data());
        fs::create_directories(top_ / "opt/bin");
        fs::create_directories(top_ / "env/bin");
        fs::create_directories(top_ / "env/lib/python3.11/site-packages");
        std::ofstream(top_ / "env/pyvenv.cfg") << "home = /usr/bin\nversion = 3.11.2\n";
    }
    ~InterpreterTest() override { fs::remove_all(top_); }

    void install(const std::string& name) {
        const fs::path path = top_ / "opt/bin" / name;
        std::ofstream(path) << "#!/bin/sh\n";
        fs::permissions(path, fs::perms::owner_all);
    }
    /// As venv makes them: one leads out of the tree, the other to that.
    void link(const std::string& target) {
        fs::create_symlink(top_ / "opt/bin" / target, top_ / "env/bin/python");
        fs::create_symlink("python", top_ / "env/bin/python3");
    }
    [[nodiscard]] InterpreterState state() const {
        return inspect_interpreter((top_ / "env").string());
    }
    /// Of the tree as one that is not in its place yet.
    [[nodiscard]] InterpreterState preview() {
        end_.clear();
        const std::string root = (top_ / "env").string();
        const auto found = inspect_interpreter(DirectoryTree(root), root, &end_);
        EXPECT_TRUE(found);
        return found.value_or(InterpreterState());
    }
    [[nodiscard]] bool tells(const std::string& text) const {
        const auto found = state();
        return found.finding.find(text) != std::string::npos && !found.remedy.empty();
    }

    fs::path top_;
    std::string end_;  ///< where preview() found that bin/python3 leads to
};

TEST_F(InterpreterTest, TheOneItWasMadeWith) {
    install("python3.11");
    link("python3.11");
    EXPECT_TRUE(state().is_usable()) << state().finding;
}

TEST_F(InterpreterTest, DanglingLinkIsFollowedToItsEnd) {
    link("python3.11");
    EXPECT_TRUE(tells("bin/python3 leads to " + (top_ / "opt/bin/python3.11").string() +
                      ", which is not here"))
        << state().finding;
}

TEST_F(InterpreterTest, OneOfBothIsEnoughToBeBroken) {
    install("python3.11");
    fs::create_symlink(top_ / "opt/bin/python3.11", top_ / "env/bin/python3");
    EXPECT_TRUE(state().is_usable());
    fs::create_symlink(top_ / "opt/bin/none", top_ / "env/bin/python");
    EXPECT_TRUE(tells("bin/python leads to "));
}

TEST_F(InterpreterTest, LinksInACircle) {
    fs::create_symlink("python", top_ / "env/bin/python3");
    fs::create_symlink("python3", top_ / "env/bin/python");
    EXPECT_TRUE(tells("cannot be reached"));
}

TEST_F(InterpreterTest, WhatCannotBeExecuted) {
    install("python3.11");
    fs::permissions(top_ / "opt/bin/python3.11", fs::perms::owner_read);
    link("python3.11");
    EXPECT_TRUE(tells("cannot be executed"));
    fs::remove_all(top_ / "env/bin");
    fs::create_directories(top_ / "env/bin/python3");
    EXPECT_TRUE(tells("cannot be executed"));
}

TEST_F(InterpreterTest, AnotherVersionByItsName) {
    for (const char* name : {"python3.10", "python3.11t", "platform-python3.6"}) {
        install(name);
        fs::remove_all(top_ / "env/bin");
        fs::create_directories(top_ / "env/bin");
        link(name);
        EXPECT_TRUE(tells("packages are for Python 3.11")) << name << ": " << state().finding;
    }
}

TEST_F(InterpreterTest, AnotherVersionByItsModules) {
    install("python3");
    link("python3");
    EXPECT_TRUE(state().is_usable()) << "a version that cannot be told is no defect";
    fs::create_directories(top_ / "opt/lib/python3.12");
    EXPECT_TRUE(tells("is Python 3.12"));
    fs::create_directories(top_ / "opt/lib/python3.13");
    EXPECT_TRUE(state().is_usable()) << "of two, neither is known to be the right one";
}

TEST_F(InterpreterTest, VersionsAreComparedAsAWhole) {
    install("python3.1");
    link("python3.1");
    EXPECT_TRUE(tells("is Python 3.1,"));
}

TEST_F(InterpreterTest, EnvironmentOfPyPy) {
    fs::rename(top_ / "env/lib/python3.11", top_ / "env/lib/pypy3.10");
    install("pypy3.10");
    link("pypy3.10");
    EXPECT_TRUE(state().is_usable()) << state().finding;
}

TEST_F(InterpreterTest, NoInterpreterAtAll) {
    EXPECT_TRUE(tells("neither bin/python3 nor bin/python"));
}

TEST_F(InterpreterTest, OnlyEnvironmentsHaveFindings) {
    fs::remove(top_ / "env/pyvenv.cfg");
    EXPECT_TRUE(state().is_usable());
    EXPECT_TRUE(inspect_interpreter("/no/such/tree").is_usable());
}

TEST_F(InterpreterTest, CondaHasItsOwnOrNone) {
    fs::remove(top_ / "env/pyvenv.cfg");
    fs::create_directories(top_ / "env/conda-meta");
    EXPECT_TRUE(state().is_usable()) << "an environment without Python";
    EXPECT_TRUE(preview().is_usable());
    std::ofstream(top_ / "env/conda-meta/python-dateutil-2.8-py_0.json") << "{}";
    EXPECT_TRUE(state().is_usable()) << state().finding;
    std::ofstream(top_ / "env/conda-meta/python-3.11.5-h0_0.json") << "{}";
    EXPECT_TRUE(tells("neither bin/python3 nor bin/python"));
    fs::create_symlink("python3.11", top_ / "env/bin/python3");
    EXPECT_TRUE(tells("python3.11, which is not here"));
    EXPECT_NE(preview().finding.find("which is not in the image"), std::string::npos);
    std::ofstream(top_ / "env/bin/python3.11") << "#!/bin/sh\n";
    fs::permissions(top_ / "env/bin/python3.11", fs::perms::owner_all);
    EXPECT_TRUE(state().is_usable()) << state().finding;
    EXPECT_TRUE(preview().is_usable()) << preview().finding;
}

/// What the files say before they are at their path is what they say there.
TEST_F(InterpreterTest, IsTheSameBeforeItIsThere) {
    const auto expect_same = [&] {
        EXPECT_EQ(preview().finding, state().finding);
        EXPECT_EQ(preview().remedy, state().remedy);
    };
    expect_same();
    link("python3.11");
    expect_same();
    EXPECT_EQ(end_, (top_ / "opt/bin/python3.11").string());
    install("python3.11");
    expect_same();
    EXPECT_TRUE(preview().is_usable());
    fs::rename(top_ / "env/lib/python3.11", top_ / "env/lib/python3.12");
    expect_same();
    EXPECT_NE(preview().finding.find("is Python 3.11, but"), std::string::npos);
    fs::permissions(top_ / "opt/bin/python3.11", fs::perms::owner_read);
    expect_same();
    EXPECT_FALSE(preview().is_usable());
}

TEST_F(InterpreterTest, LinksOfDirectoriesAreFollowed) {
    fs::create_directories(top_ / "env/python-3.11.5/bin");
    std::ofstream(top_ / "env/python-3.11.5/bin/python3.11") << "#!/bin/sh\n";
    fs::create_symlink("python-3.11.5", top_ / "env/python");
    fs::create_symlink("../python/bin/python3.11", top_ / "env/bin/python3");
    EXPECT_TRUE(preview().is_usable()) << preview().finding;
    EXPECT_EQ(end_, (top_ / "env/python-3.11.5/bin/python3.11").string());
    fs::remove(top_ / "env/bin/python3");
    fs::create_symlink("python3", top_ / "env/bin/python3");
    EXPECT_FALSE(preview().is_usable()) << "a link to itself";
}

TEST(InterpreterName, WhatAnEnvironmentIsExpectedToHave) {
    for (const char* name : {"python", "python3", "python3.11"})
        EXPECT_TRUE(is_interpreter_name(name)) << name;
    for (const char* name :
         {"", "pytho", "pythonw", "python3-config", "ipython", "/usr/bin/python3", "./python"})
        EXPECT_FALSE(is_interpreter_name(name)) << name;
}

HasPath tree_of(const std::set<std::string>& paths) {
    return [paths](const std::string& path) { return paths.count(path) != 0; };
}

TEST(EnvironmentKinds, ByWhatIsInTheTree) {
    EXPECT_EQ(environment_kind(tree_of({})), EnvironmentKind::none);
    EXPECT_EQ(environment_kind(tree_of({"bin/python3"})), EnvironmentKind::none);
    EXPECT_EQ(environment_kind(tree_of({"pyvenv.cfg"})), EnvironmentKind::venv);
    EXPECT_EQ(environment_kind(tree_of({"conda-meta"})), EnvironmentKind::conda);
    EXPECT_EQ(environment_kind(tree_of({"conda-meta", "pyvenv.cfg"})), EnvironmentKind::venv);
    EXPECT_EQ(environment_kind_at("/no/such/tree"), EnvironmentKind::none);
}

TEST(EnvironmentKinds, DeeperInAProject) {
    EXPECT_EQ(inner_environment(tree_of({})), "");
    EXPECT_EQ(inner_environment(tree_of({".venv"})), "");
    EXPECT_EQ(inner_environment(tree_of({".venv/pyvenv.cfg"})), ".venv");
    EXPECT_EQ(inner_environment(tree_of({"env/conda-meta"})), "env");
    EXPECT_EQ(inner_environment(tree_of({".pixi/envs/default/conda-meta"})), ".pixi/envs/default");
}

}  // namespace
}  // namespace squenv::venv
