// SPDX-License-Identifier: MIT
// The cache is ours alone, and so is the way to it.
#include "cache/cache_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace squenv::cache {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kStranger = 54321;

class CacheDirectoryTest : public testing::Test {
  protected:
    CacheDirectoryTest() {
        std::string name = testing::TempDir() + "squenv-cache-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        base_ = fs::canonical(name);
        for (const char* variable : {"SQUENV_CACHE", "XDG_CACHE_HOME", "TMPDIR"})
            ::unsetenv(variable);
        ::umask(0022);
    }
    ~CacheDirectoryTest() override {
        for (const char* variable : {"SQUENV_CACHE", "XDG_CACHE_HOME", "TMPDIR"})
            ::unsetenv(variable);
        fs::remove_all(base_);
    }

    void choose(const fs::path& path) { ::setenv("SQUENV_CACHE", path.c_str(), 1); }
    /// The cache directory cannot be had, and the message has these words.
    static void expect_refusal(Errc code, const std::string& object, const std::string& step) {
        const auto directory = cache_directory();
        ASSERT_FALSE(directory) << *directory;
        EXPECT_EQ(directory.error().code, code) << directory.error().message();
        EXPECT_NE(directory.error().context.find(object), std::string::npos)
            << directory.error().message();
        EXPECT_NE(directory.error().hint.find(step), std::string::npos)
            << directory.error().message();
    }

    fs::path base_;
};

TEST_F(CacheDirectoryTest, IsMadeWithItsParentsWhateverTheUmask) {
    const auto before = ::umask(0002);
    choose(base_ / "a/b/trees");
    const auto directory = cache_directory();
    ::umask(before);
    ASSERT_TRUE(directory) << directory.error().message();
    EXPECT_EQ(*directory, base_ / "a/b/trees");
    struct stat info {};
    ASSERT_EQ(::stat(directory->c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700U);
    EXPECT_TRUE(cache_directory()) << "and found again";
}

TEST_F(CacheDirectoryTest, MustBeAnAbsolutePath) {
    choose("relative/trees");
    expect_refusal(Errc::invalid_argument, "'relative/trees' must be an absolute path", "/");
    EXPECT_FALSE(existing_cache_directory());
}

TEST_F(CacheDirectoryTest, IsNotLookedForBeforeItIsThere) {
    choose(base_ / "trees");
    const auto none = existing_cache_directory();
    ASSERT_TRUE(none);
    EXPECT_FALSE(none->has_value());
    EXPECT_FALSE(fs::exists(base_ / "trees"));
    ASSERT_TRUE(cache_directory());
    EXPECT_EQ(existing_cache_directory()->value_or(""), base_ / "trees");
}

TEST_F(CacheDirectoryTest, ThatAGroupMayWriteInIsNamedWithTheCommandThatMendsIt) {
    choose(base_ / "trees");
    fs::create_directory(base_ / "trees");
    fs::permissions(base_ / "trees", fs::perms(0775));
    const std::string path = (base_ / "trees").string();
    expect_refusal(Errc::denied, path, "chmod go-w " + path);
    fs::permissions(base_ / "trees", fs::perms(0755));
    EXPECT_TRUE(cache_directory());
}

class OpenParent : public CacheDirectoryTest, public testing::WithParamInterface<unsigned> {};
TEST_P(OpenParent, IsRefusedUnlessSticky) {
    const fs::path parent = base_ / "parent";
    fs::create_directories(parent / "own");
    choose(parent / "own/trees");
    ASSERT_EQ(::chmod(parent.c_str(), GetParam()), 0);
    expect_refusal(Errc::denied, parent.string() + ": others may write",
                   "chmod go-w " + parent.string());
    EXPECT_FALSE(fs::exists(parent / "own/trees"));
    ASSERT_EQ(::chmod(parent.c_str(), GetParam() | S_ISVTX), 0);
    EXPECT_TRUE(cache_directory());
}
INSTANTIATE_TEST_SUITE_P(Modes, OpenParent, testing::Values(0775U, 0757U, 0777U));

TEST_F(CacheDirectoryTest, BelowADirectoryOfAnotherUserIsRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const fs::path parent = base_ / "parent";
    fs::create_directories(parent / "own");
    choose(parent / "own/trees");
    ASSERT_EQ(::chown(parent.c_str(), kStranger, kStranger), 0);
    expect_refusal(Errc::denied, parent.string() + ": belongs to user 54321", "SQUENV_CACHE");
}

TEST_F(CacheDirectoryTest, OfAnotherUserIsRefusedAndSoIsASymlink) {
    choose(base_ / "trees");
    fs::create_directory(base_ / "real");
    fs::create_symlink("real", base_ / "trees");
    expect_refusal(Errc::denied, "not yours", "SQUENV_CACHE");
    if (::geteuid() != 0) return;
    fs::remove(base_ / "trees");
    fs::create_directory(base_ / "trees");
    ASSERT_EQ(::chown((base_ / "trees").c_str(), kStranger, kStranger), 0);
    expect_refusal(Errc::denied, "not yours", "SQUENV_CACHE");
}

TEST_F(CacheDirectoryTest, HasAnotherNameWhereTheFirstIsTaken) {
    ::setenv("TMPDIR", base_.c_str(), 1);
    const std::string first = (base_ / ("squenv-" + std::to_string(::geteuid()))).string();
    EXPECT_EQ(cache_path(), first);
    fs::create_symlink("nowhere", first);
    const std::string second = cache_path();
    EXPECT_TRUE(second.starts_with(first + '-')) << second;
    const auto directory = cache_directory();
    ASSERT_TRUE(directory) << directory.error().message();
    EXPECT_EQ(*directory, second);
    EXPECT_EQ(cache_path(), second) << "the next time, too";
}

}  // namespace
}  // namespace squenv::cache
