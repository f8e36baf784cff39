// SPDX-License-Identifier: MIT
// A survey notices every change of a tree, also one that hides.
#include "cache/survey.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "support/file_times.h"

namespace squenv::cache {
namespace {

namespace fs = std::filesystem;

class SurveyTest : public testing::Test {
  protected:
    SurveyTest() {
        std::string name = testing::TempDir() + "squenv-survey-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        fs::create_directories(root_ / "a/b/c");
        for (const char* path : {"one", "a/two", "a/b/three", "a/b/c/four"})
            std::ofstream(root_ / path) << "content of " << path;
        fs::create_symlink("two", root_ / "a/link");
        fs::create_directory(root_ / "empty");
    }
    ~SurveyTest() override {
        // Paths can be too long for the standard library.
        EXPECT_EQ(std::system(("rm -rf " + root_.string()).c_str()), 0);
    }

    [[nodiscard]] std::string fingerprint() const {
        const auto survey = survey_tree(root_.string());
        EXPECT_TRUE(survey) << survey.error().message();
        return survey ? survey->fingerprint() : "";
    }
    /// What `change` does to a file, with its size and mtime as they were.
    void change_in_secret(const char* path, const std::function<void(const fs::path&)>& change) {
        struct stat before {};
        ASSERT_EQ(::lstat((root_ / path).c_str(), &before), 0);
        test::let_time_pass();
        change(root_ / path);
        const timespec times[2] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    }

    fs::path root_;
};

TEST_F(SurveyTest, CountsWhatIsThere) {
    const auto survey = survey_tree(root_.string());
    ASSERT_TRUE(survey) << survey.error().message();
    EXPECT_EQ(survey->objects, 10U);
    EXPECT_GT(survey->bytes, 0U);
}

TEST_F(SurveyTest, IsTheSameUntilSomethingChanges) {
    const auto before = fingerprint();
    std::string text;
    std::ifstream(root_ / "a/two") >> text;
    EXPECT_EQ(fingerprint(), before) << "reading is no change";
    std::ofstream(root_ / "one", std::ios::app) << "x";
    EXPECT_NE(fingerprint(), before);
}

TEST_F(SurveyTest, NoticesWhatIsAddedDeletedAndRenamed) {
    auto before = fingerprint();
    const auto expect_change = [&](const char* what) {
        const auto now = fingerprint();
        EXPECT_NE(now, before) << what;
        before = now;
    };
    fs::remove(root_ / "a/b/c/four");
    expect_change("deleted");
    std::ofstream(root_ / "empty/new") << "";
    expect_change("added");
    fs::rename(root_ / "a/two", root_ / "a/zwei");
    expect_change("renamed");
    fs::permissions(root_ / "one", fs::perms::owner_exec, fs::perm_options::add);
    expect_change("mode");
    fs::remove(root_ / "a/link");
    fs::create_symlink("zwei", root_ / "a/link");
    expect_change("symlink");
    fs::remove_all(root_ / "a/b");
    expect_change("directory");
}

TEST_F(SurveyTest, NoticesContentWhoseTimeWasSetBack) {
    const auto before = fingerprint();
    change_in_secret("a/two", [](const fs::path& path) {
        std::fstream(path, std::ios::in | std::ios::out) << "CONTENT";
    });
    EXPECT_NE(fingerprint(), before);
}

TEST_F(SurveyTest, PassesOverWhatMayNotBeRead) {
    fs::permissions(root_ / "a/b", fs::perms::none);
    const auto before = fingerprint();
    EXPECT_EQ(fingerprint(), before);
    fs::permissions(root_ / "a/b", fs::perms::owner_all);
    EXPECT_NE(fingerprint(), before);
}

TEST_F(SurveyTest, LooksBelowPathsThatAreTooLongForTheSystem) {
    constexpr int kLevels = 40;
    const std::string name(200, 'd');
    int at = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int level = 0; level < kLevels; ++level) {
        ASSERT_EQ(::mkdirat(at, name.c_str(), 0700), 0);
        const int below = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ::close(at);
        ASSERT_GE(below, 0);
        at = below;
    }
    const auto before = fingerprint();
    ::close(::openat(at, "deep", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_NE(fingerprint(), before);
    ::close(at);
}

TEST_F(SurveyTest, FailsWithoutATree) {
    EXPECT_FALSE(survey_tree((root_ / "none").string()));
    EXPECT_FALSE(survey_tree((root_ / "one").string()));
}

}  // namespace
}  // namespace squenv::cache
