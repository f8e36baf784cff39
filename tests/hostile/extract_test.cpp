// SPDX-License-Identifier: MIT
// Extraction never writes outside its target, whatever the names and links of an image are.
#include "extract/extract.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "extract/privilege.h"
#include "support/memory_source.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

namespace fs = std::filesystem;

class Extract : public testing::Test {
  protected:
    Extract() {
        // What an escape would reach: a file beside the target and one it could replace.
        fs::create_directory(outside_);
        std::ofstream(outside_ / "victim") << "untouched";
    }
    ~Extract() override {
        EXPECT_EQ(text(outside_ / "victim"), "untouched");
        EXPECT_EQ(entries(outside_), 1);
        EXPECT_LE(entries(base_), 2);
        fs::remove_all(base_);
    }

    static std::string text(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        std::stringstream content;
        content << file.rdbuf();
        return content.str();
    }
    static long entries(const fs::path& path) {
        return std::distance(fs::directory_iterator(path), fs::directory_iterator());
    }
    extract::ExtractReport run(const BuiltImage& built, bool overwrite = false) {
        const auto image = open_image(built);
        EXPECT_TRUE(image);
        extract::ExtractOptions options;
        options.threads = 2;
        options.overwrite = overwrite;
        const auto report =
            extract::extract_tree(**image, (*image)->root(), target_.string(), options);
        EXPECT_TRUE(report) << report.error().message();
        return report.value();
    }

    static fs::path make_base() {
        std::string name = testing::TempDir() + "squenv-extract-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        return name;
    }
    const fs::path base_ = make_base();
    const fs::path outside_ = base_ / "outside";
    const fs::path target_ = base_ / "target";
};

TEST_F(Extract, RestoresTheTree) {
    auto builder = sample_tree();
    builder.at("small").mode = 0640;
    if (::geteuid() != 0)
        builder.root().children.erase(
            std::find_if(builder.root().children.begin(), builder.root().children.end(),
                         [](const auto& child) { return child.first == "tty"; }));
    const auto built = builder.build();
    const auto report = run(built);
    for (const auto& error : report.errors) ADD_FAILURE() << error.joined().message();
    for (const auto& [path, content] : built.files)
        EXPECT_EQ(text(target_ / path), content) << path;
    for (const auto& [path, to] : built.symlinks) EXPECT_EQ(fs::read_symlink(target_ / path), to);
    struct stat info {};
    ASSERT_EQ(::stat((target_ / "small").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0640U);
    EXPECT_EQ(info.st_mtime, 1'000'000'000);
    EXPECT_EQ(fs::hard_link_count(target_ / "hard1"), 2U);
    ASSERT_EQ(::stat(target_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mtime, 1'000'000'000);
}

class EscapingName : public Extract, public testing::WithParamInterface<const char*> {};
TEST_P(EscapingName, IsNotMade) {
    const std::string name = GetParam();
    ImageBuilder builder;
    builder.directory("d");
    builder.file("d/" + std::string(name.size(), 'x'), "escaped");
    builder.file("fine", "fine");
    auto built = builder.build();
    built.set_text("entry:d/" + std::string(name.size(), 'x') + ".name", name);
    const auto report = run(built);
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_EQ(report.errors[0].error.code, Errc::corrupt);
    EXPECT_EQ(entries(target_ / "d"), 0);
    EXPECT_EQ(text(target_ / "fine"), "fine");
}
INSTANTIATE_TEST_SUITE_P(Names, EscapingName,
                         testing::Values(".", "..", "/", "../outside/victim", "/tmp/escaped",
                                         "a/../../outside/x", "../x"),
                         [](const auto& row) { return std::to_string(row.index); });

TEST_F(Extract, ASymlinkAndADirectoryOfTheSameName) {
    ImageBuilder builder;
    builder.symlink("aa", "../outside");
    builder.directory("ab");
    builder.file("ab/victim", "overwritten");
    auto built = builder.build();
    built.set_text("entry:ab.name", "aa");
    const auto report = run(built);
    EXPECT_FALSE(report.errors.empty());
    EXPECT_EQ(entries(target_), 0);
}

TEST_F(Extract, ASymlinkHiddenByUnsortedOrder) {
    ImageBuilder builder;
    builder.root().is_sorted = false;
    builder.symlink("link", "../outside");
    builder.file("between", "x");
    builder.directory("lin2");
    builder.file("lin2/victim", "overwritten");
    auto built = builder.build();
    built.set_text("entry:lin2.name", "link");
    EXPECT_FALSE(run(built).errors.empty());
}

TEST_F(Extract, AFileThroughASymlinkThatWasThereBefore) {
    fs::create_directory(target_);
    fs::create_directory_symlink("../outside", target_ / "d");
    fs::create_symlink("../outside/victim", target_ / "f");
    ImageBuilder builder;
    builder.directory("d");
    builder.file("d/victim", "overwritten");
    builder.file("f", "overwritten");
    const auto report = run(builder.build(), true);
    EXPECT_EQ(report.errors.size(), 1U) << "the directory cannot be made, the file can";
    EXPECT_FALSE(fs::is_symlink(target_ / "f"));
    EXPECT_EQ(text(target_ / "f"), "overwritten");
}

TEST_F(Extract, AHardLinkToASymlinkIsNotFollowed) {
    ImageBuilder builder;
    builder.symlink("a", "../outside/victim");
    builder.link("b", "a");
    EXPECT_TRUE(run(builder.build()).errors.empty());
    EXPECT_TRUE(fs::is_symlink(target_ / "b"));
}

TEST_F(Extract, AnEmptyDirectoryIsATarget) {
    fs::create_directory(target_);
    const auto built = sample_tree().build();
    (void)run(built);
    EXPECT_EQ(text(target_ / "big"), built.files.at("big"));
}

TEST_F(Extract, ATargetWithContentIsRefused) {
    fs::create_directory(target_);
    std::ofstream(target_ / ".hidden") << "content";
    const auto built = sample_tree().build();
    const auto image = open_image(built);
    const auto report = extract::extract_tree(**image, (*image)->root(), target_.string(), {});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::exists);
    EXPECT_EQ(entries(target_), 1);
}

class SymlinkTarget : public Extract, public testing::WithParamInterface<const char*> {};
TEST_P(SymlinkTarget, IsNotFollowed) {
    fs::permissions(outside_, fs::perms::owner_all);
    fs::create_directory_symlink("outside", target_);
    ImageBuilder builder;
    builder.root().mode = 0777;
    builder.file("f", "escaped");
    const auto image = open_image(builder.build());
    ASSERT_TRUE(image);
    extract::ExtractOptions options;
    options.overwrite = true;
    const auto report =
        extract::extract_tree(**image, (*image)->root(), target_.string() + GetParam(), options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::exists);
    EXPECT_NE(report.error().context.find(target_.string()), std::string::npos);
    EXPECT_FALSE(report.error().hint.empty());
    EXPECT_EQ(fs::status(outside_).permissions(), fs::perms::owner_all);
}
INSTANTIATE_TEST_SUITE_P(Ends, SymlinkTarget, testing::Values("", "/", "//"),
                         [](const auto& row) { return std::to_string(row.index); });

class Privileges : public Extract {
  protected:
    Privileges() {
        builder_.file("setuid", "x").mode = 04755;
        builder_.file("setgid", "x").mode = 02755;
        builder_.directory("shared").mode = 02770;
        builder_.directory("sticky").mode = 01777;
        builder_.file("plain", "x").mode = 0644;
    }
    extract::ExtractReport unpack(const extract::ExtractOptions& options) {
        const auto built = builder_.build();
        const auto image = open_image(built);
        EXPECT_TRUE(image);
        const auto report =
            extract::extract_tree(**image, (*image)->root(), target_.string(), options);
        EXPECT_TRUE(report) << report.error().message();
        return report.value();
    }
    [[nodiscard]] unsigned mode(const char* name) const {
        struct stat info {};
        EXPECT_EQ(::lstat((target_ / name).c_str(), &info), 0) << name;
        return info.st_mode & 07777;
    }
    ImageBuilder builder_;
};

TEST_F(Privileges, AreLostWithoutTheOwnerOfTheImage) {
    extract::ExtractOptions options;
    options.owners = false;
    const auto report = unpack(options);
    EXPECT_TRUE(report.errors.empty());
    EXPECT_EQ(report.lost_privileges, 3U);
    EXPECT_EQ(report.left_owners, 0U) << "they were not wanted";
    EXPECT_EQ(mode("setuid"), 0755U);
    EXPECT_EQ(mode("setgid"), 0755U);
    EXPECT_EQ(mode("shared"), 0770U);
    EXPECT_EQ(mode("sticky"), 01777U);
    EXPECT_EQ(mode("plain"), 0644U);
}

TEST_F(Privileges, AreKeptByRootWithTheOwner) {
    if (!extract::has_root_account()) GTEST_SKIP() << "needs root";
    const auto report = unpack({});
    EXPECT_EQ(report.lost_privileges, 0U);
    EXPECT_EQ(mode("setuid"), 04755U);
    EXPECT_EQ(mode("setgid"), 02755U);
    EXPECT_EQ(mode("shared"), 02770U);
}

TEST_F(Privileges, ToWriteAreLostInATreeThatIsReadOnly) {
    extract::ExtractOptions options;
    options.is_read_only = true;
    (void)unpack(options);
    EXPECT_EQ(mode("plain"), 0444U);
    EXPECT_EQ(mode("sticky"), 01555U);
    EXPECT_EQ(mode("shared") & 0222, 0U);
    for (const char* name : {"", "shared", "sticky"})
        fs::permissions(target_ / name, fs::perms::owner_all, fs::perm_options::add);
}

/// Sets a flag when it is read from `position` on.
class WatchedSource final : public image::ByteSource {
  public:
    WatchedSource(const BuiltImage& built, std::uint64_t position, std::atomic<bool>& flag)
        : source_(built.bytes), position_(position), flag_(flag) {}
    [[nodiscard]] Status read_exact(std::uint64_t position, MutableBytes out) const override {
        if (position >= position_ && position < position_ + (1 << 20)) flag_ = true;
        return source_.read_exact(position, out);
    }
    [[nodiscard]] std::uint64_t size_bytes() const override { return source_.size_bytes(); }
    [[nodiscard]] bool has_changed() const override { return false; }
    [[nodiscard]] image::SourceCounters counters() const override { return source_.counters(); }

  private:
    MemorySource source_;
    std::uint64_t position_;
    std::atomic<bool>& flag_;
};

TEST_F(Extract, WhatIsNotWholeWhenItIsStoppedIsRemoved) {
    ImageBuilder builder;
    builder.file("a", "whole");
    builder.file("b", pattern(5 << 20, 1));
    builder.file("c", "not begun");
    const auto built = builder.build();
    std::atomic<bool> stop{false};
    const std::uint64_t middle = built.get("inode:b.start") + (2 << 20);
    const auto image = image::Image::open(
        std::unique_ptr<image::ByteSource>(new WatchedSource(built, middle, stop)), {});
    ASSERT_TRUE(image) << image.error().message();
    extract::ExtractOptions options;
    options.threads = 1;
    options.cancel = &stop;
    const auto report = extract::extract_tree(**image, (*image)->root(), target_.string(), options);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->is_cancelled);
    EXPECT_FALSE(report->is_full);
    EXPECT_TRUE(report->errors.empty());
    EXPECT_EQ(text(target_ / "a"), "whole");
    EXPECT_FALSE(fs::exists(target_ / "b"));
}

TEST_F(Extract, LoopsEnd) {
    auto builder = sample_tree();
    builder.link("dir/c/again", "dir");
    builder.link("empty/root", "");
    const auto report = run(builder.build());
    EXPECT_EQ(report.errors.size(), ::geteuid() == 0 ? 2U : 3U);
    EXPECT_EQ(text(target_ / "dir/c/leaf"), pattern(4097, 4));
}

TEST_F(Extract, DamagedContentIsReportedAndTheRestIsWritten) {
    auto built = sample_tree().build();
    built.set("word:exact#1", 0x02000001);
    const auto report = run(built);
    ASSERT_FALSE(report.errors.empty());
    EXPECT_TRUE(std::any_of(report.errors.begin(), report.errors.end(), [](const ObjectError& one) {
        return one.path == "exact" && one.error.code == Errc::corrupt;
    }));
    EXPECT_EQ(text(target_ / "big"), built.files.at("big"));
}

}  // namespace
}  // namespace squenv::test
