// SPDX-License-Identifier: MIT
#include "versions/versions.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "versions/log.h"
#include "versions/place.h"
#include "versions/store.h"

namespace squenv::versions {
namespace {

namespace fs = std::filesystem;

class Versions : public ::testing::Test {
  protected:
    Versions() {
        std::string name = (fs::temp_directory_path() / "squenv-versions-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        image_ = root_ / "env.squashfs";
    }
    ~Versions() override { fs::remove_all(root_); }

    std::string made(const std::string& name, const std::string& text) const {
        std::ofstream(root_ / name) << text;
        return (root_ / name).string();
    }
    Version published(const std::string& text, bool keep = true) const {
        const auto version = publish(made("fresh", text), image_, {"edit", "edit it"}, keep);
        EXPECT_TRUE(version) << version.error().message();
        return version.value_or(Version{});
    }
    static std::string text_of(const fs::path& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    fs::path root_;
    std::string image_;
};

TEST(VersionLog, HasWhatWasWritten) {
    const Entry entry{7,      1700000000, 4096, 123456789, "ab12", {"pack", "squenv pack 'a b'", 3},
                      "alice"};
    const Log log = parse_log(line_of(entry) + "\n" + pin_line(7, true, 5) + "\n");
    ASSERT_EQ(log.entries.size(), 1U);
    const Entry& read = log.entries.front();
    EXPECT_EQ(read.number, 7U);
    EXPECT_EQ(read.time, 1700000000);
    EXPECT_EQ(read.size_bytes, 4096U);
    EXPECT_EQ(read.mtime_ns, 123456789);
    EXPECT_EQ(read.digest, "ab12");
    EXPECT_EQ(read.origin.verb, "pack");
    EXPECT_EQ(read.origin.command, "squenv pack 'a b'");
    EXPECT_EQ(read.origin.parent, 3U);
    EXPECT_EQ(read.user, "alice");
    EXPECT_TRUE(log.pinned.contains(7));
}

TEST(VersionLog, PassesOverWhatItDoesNotKnow) {
    const Log log = parse_log(
        "not json\n[1,2]\n{\"number\":-3}\n{\"number\":0}\n{\"number\":1e30}\n{\"number\":\"2\"}\n"
        "{\"number\":4,\"size\":\"x\",\"later\":{\"a\":[1]}}\n{\"number\":5,\"pinned\":1}\n"
        "{\"number\":6,\"pinned\":true}\n{\"number\":6,\"pinned\":false}\n{\"number\":7");
    ASSERT_EQ(log.entries.size(), 1U);
    EXPECT_EQ(log.entries.front().number, 4U);
    EXPECT_EQ(log.entries.front().size_bytes, 0U);
    EXPECT_TRUE(log.pinned.empty());
}

TEST(VersionLog, CommandsNeedNotBeText) {
    const Log log = parse_log(line_of({1, 0, 0, 0, "", {"pack", "a\xff\n\"b", 0}, ""}));
    ASSERT_EQ(log.entries.size(), 1U);
    EXPECT_TRUE(log.entries.front().origin.command.starts_with("a"));
}

TEST(VersionNumbers, HaveOneForm) {
    EXPECT_EQ(parse_version_number("12"), 12U);
    for (const char* text : {"", "0", "01", "+1", "-1", "1 ", "1x", "1000000000", "1e3"})
        EXPECT_FALSE(parse_version_number(text)) << text;
    EXPECT_EQ(number_of_name("3.squashfs", kKeptSuffix), 3U);
    EXPECT_FALSE(number_of_name("3.incoming", kKeptSuffix));
}

TEST_F(Versions, ReplaceWithoutKeeping) {
    made("env.squashfs", "one");
    EXPECT_EQ(published("two", false).number, 0U);
    EXPECT_EQ(text_of(image_), "two");
    EXPECT_FALSE(are_kept(image_));
    EXPECT_FALSE(fs::exists(root_ / "fresh"));
}

TEST_F(Versions, TheFirstOneMakesTheDirectory) {
    EXPECT_EQ(published("one").number, 1U);
    EXPECT_TRUE(are_kept(image_));
    const auto version = published("two", false);
    EXPECT_EQ(version.number, 2U);
    EXPECT_EQ(version.origin.command, "edit it");
    EXPECT_EQ(text_of(*resolve(image_ + "@1")), "one");
    EXPECT_EQ(*resolve(image_ + "@2"), image_);
    EXPECT_EQ(current(image_)->number, 2U);
}

TEST_F(Versions, NamesOfOtherFormsAreNotResolved) {
    published("one");
    for (const char* name : {"", "@", "@1", "a@", "a@b", "a@1", "a@01"}) {
        const auto path = resolve(name);
        ASSERT_TRUE(path) << name;
        EXPECT_EQ(*path, name);
    }
    made("env.squashfs@1", "a file");
    EXPECT_EQ(*resolve(image_ + "@1"), image_ + "@1");
    EXPECT_EQ(resolve(image_ + "@2").error().code, Errc::not_found);
}

TEST_F(Versions, AFailureLeavesBothFiles) {
    published("one");
    fs::create_directory(root_ / "env.squashfs.versions/1.squashfs");
    const std::string fresh = made("fresh", "two");
    const auto version = publish(fresh, image_, {}, true);
    ASSERT_FALSE(version);
    EXPECT_EQ(text_of(image_), "one");
    EXPECT_EQ(text_of(fresh), "two");
}

TEST_F(Versions, AreCheckedBeforeTheyAreMade) {
    published("one");
    EXPECT_TRUE(check_publish(image_, false));
    EXPECT_FALSE(check_publish((root_ / "none/env").string(), true));
    EXPECT_TRUE(check_publish((root_ / "none/env").string(), false));
}

/// A process that was killed right after its file got the number, and one right after an exchange.
TEST_F(Versions, WhatAKilledProcessLeftIsPutInOrder) {
    published("one");
    published("two!");
    const fs::path directory = image_ + ".versions";
    made("env.squashfs.versions/3.incoming", "never current");
    made("env.squashfs.versions/2.copying", "hal");
    published("three");
    EXPECT_FALSE(fs::exists(directory / "3.incoming"));
    EXPECT_FALSE(fs::exists(directory / "2.copying"));
    EXPECT_EQ(text_of(image_), "three");
    // The image is 4 by now, and what it replaced still has the name of the incoming file.
    const auto number = current(image_)->number;
    const Entry next{number + 1, 0, 4, identity_at(made("next", "four"))->mtime_ns};
    std::ofstream(directory / "log", std::ios::app) << line_of(next) << '\n';
    fs::rename(image_, directory / (std::to_string(number + 1) + ".incoming"));
    fs::rename(root_ / "next", image_);
    EXPECT_EQ(current(image_)->number, number + 1);
    published("five");
    EXPECT_EQ(text_of(*resolve(image_ + "@" + std::to_string(number))), "three");
    EXPECT_EQ(text_of(*resolve(image_ + "@" + std::to_string(number + 1))), "four");
}

TEST_F(Versions, OnlyOneIsEditedAtATime) {
    made("env.squashfs", "one");
    {
        const auto lock = EditorLock::take(image_);
        ASSERT_TRUE(lock) << lock.error().message();
        const pid_t child = ::fork();
        if (child == 0) {
            const auto second = EditorLock::take(image_);
            const std::string text = second ? "" : second.error().message();
            const std::string pid = "(process " + std::to_string(::getppid()) + ") since 20";
            const bool is_told = text.find("is being edited by ") != std::string::npos &&
                                 text.find('@') != std::string::npos &&
                                 text.find(pid) != std::string::npos;
            ::_exit(!second && second.error().code == Errc::busy && is_told ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    EXPECT_FALSE(are_kept(image_));
    EXPECT_TRUE(EditorLock::take(image_));
}

TEST_F(Versions, AnEditorThatPublishesLeavesTheDirectory) {
    made("env.squashfs", "one");
    {
        const auto lock = EditorLock::take(image_);
        ASSERT_TRUE(lock);
        published("two");
    }
    EXPECT_TRUE(are_kept(image_));
    EXPECT_EQ(history(image_)->size(), 2U);
}

TEST_F(Versions, AFileThatIsOpenIsNotPruned) {
    for (const char* text : {"one", "two", "three"}) published(text);
    std::ifstream reader(image_ + ".versions/1.squashfs");
    PruneOptions options;
    options.keep = 1;
    auto pruned = prune(image_, options);
    ASSERT_TRUE(pruned);
    EXPECT_EQ(pruned->removed.size(), 1U);
    ASSERT_EQ(pruned->spared.size(), 1U);
    EXPECT_EQ(pruned->spared.front().second, "in use");
    reader.close();
    pruned = prune(image_, options);
    ASSERT_TRUE(pruned);
    ASSERT_EQ(pruned->removed.size(), 1U);
    EXPECT_EQ(pruned->removed.front().number, 1U);
}

}  // namespace
}  // namespace squenv::versions
