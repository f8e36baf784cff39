// SPDX-License-Identifier: MIT
#include "pack/directory_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "pack/scanned_source.h"

namespace squenv::pack {
namespace {

namespace fs = std::filesystem;

/// A tree on disk and one that lies over it.
class DirectorySourceTest : public ::testing::Test {
  protected:
    DirectorySourceTest() {
        std::string name = (fs::temp_directory_path() / "squenv-source-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        fs::create_directory(root_ / "tree");
        fs::create_directory(root_ / "over");
    }
    ~DirectorySourceTest() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text) const {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path, std::ios::binary) << text;
    }
    void set_time(const std::string& path, long seconds) const {
        const timespec times[2] = {{seconds, 5}, {seconds, 5}};
        ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    }
    /// Scans the tree, with or without the other one.
    void scan(bool has_overlay = true, TreeObserver* observer = nullptr) {
        auto source = open_directory_source((root_ / "tree").string(),
                                            has_overlay ? (root_ / "over").string() : "", options_,
                                            std::nullopt, observer);
        ASSERT_TRUE(source);
        source_ = std::move(*source);
        auto scanned = source_->scan();
        ASSERT_TRUE(scanned);
        scanned_ = std::move(*scanned);
    }
    const Node& node(const std::string& path) const {
        const EntryId id = scanned_.tree.find(path);
        EXPECT_NE(id, kNoEntry) << path;
        return scanned_.tree.at(id == kNoEntry ? kRootEntry : id);
    }
    Result<std::string> content(const std::string& path) const {
        const auto reader = source_->open_reader(scanned_.tree);
        const EntryId id = scanned_.tree.find(path);
        std::string text(scanned_.tree.at(id).size_bytes, '\0');
        SQUENV_TRY(reader->read(
            id, 0, MutableBytes(reinterpret_cast<std::byte*>(text.data()), text.size())));
        return text;
    }

    fs::path root_;
    Options options_;
    std::unique_ptr<Source> source_;
    Scanned scanned_;
};

TEST_F(DirectorySourceTest, AReplacedFileOfTheSameSizeAndTimeIsNoticed) {
    write("tree/file", "old");
    write("new", "new");
    set_time("tree/file", 1000);
    set_time("new", 1000);
    scan(false);
    EXPECT_EQ(content("file").value(), "old");
    // The kernel's clock for changes moves every 4 ms, or 10 ms.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    fs::rename(root_ / "new", root_ / "tree/file");
    const auto read = content("file");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::busy);
    EXPECT_NE(read.error().message().find("was replaced"), std::string::npos);
}

TEST_F(DirectorySourceTest, ANumberThatChangedAloneIsNoChange) {
    write("tree/file", "text");
    scan(false);
    scanned_.tree.at(scanned_.tree.find("file")).source_inode += 7;
    EXPECT_EQ(content("file").value(), "text");
    scanned_.tree.at(scanned_.tree.find("file")).ctime_ns += 1;
    EXPECT_FALSE(content("file"));
}

TEST_F(DirectorySourceTest, ReasonsAreTheSameForAllFiles) {
    write("tree/a", "aaaa");
    scan(false);
    write("tree/a", "aaaaaa");
    EXPECT_EQ(content("a").error().message(), "grew while the tree was packed");
    write("tree/a", "a");
    EXPECT_EQ(content("a").error().message(), "shrank while the tree was packed");
}

TEST_F(DirectorySourceTest, AnOverlayAddsFilesAndReplacesThem) {
    write("tree/lib/m.py", "source");
    write("tree/lib/__pycache__/m.pyc", "stale form");
    write("tree/lib/__pycache__/other.pyc", "other form");
    write("tree/pkg/n.py", "source");
    write("over/lib/__pycache__/m.pyc", "form");
    write("over/pkg/__pycache__/n.pyc", "another form");
    scan();
    EXPECT_EQ(content("lib/m.py").value(), "source");
    EXPECT_EQ(content("lib/__pycache__/m.pyc").value(), "form");
    EXPECT_EQ(content("lib/__pycache__/other.pyc").value(), "other form");
    EXPECT_EQ(content("pkg/__pycache__/n.pyc").value(), "another form");
    EXPECT_EQ(content("pkg/n.py").value(), "source");
    EXPECT_EQ(node("lib/__pycache__").child_count, 2U);
    EXPECT_EQ(node("pkg").child_count, 2U);
    EXPECT_TRUE(scanned_.problems.empty());
}

TEST_F(DirectorySourceTest, FilesOfAnOverlayLookLikeTheirDirectory) {
    write("tree/pkg/n.py", "source");
    write("over/pkg/__pycache__/n.pyc", "form");
    ASSERT_EQ(::chmod((root_ / "tree/pkg").c_str(), 0750), 0);
    ASSERT_EQ(::chmod((root_ / "over/pkg/__pycache__/n.pyc").c_str(), 0600), 0);
    set_time("tree/pkg", 1234);
    scan();
    EXPECT_EQ(node("pkg/__pycache__").mode, 0750);
    EXPECT_EQ(node("pkg/__pycache__/n.pyc").mode, 0640);
    for (const char* path : {"pkg/__pycache__", "pkg/__pycache__/n.pyc"}) {
        EXPECT_EQ(node(path).mtime_seconds, 1234) << path;
        EXPECT_EQ(node(path).uid, node("pkg").uid) << path;
        EXPECT_EQ(node(path).gid, node("pkg").gid) << path;
    }
}

TEST_F(DirectorySourceTest, WhatIsExcludedStaysOut) {
    write("tree/pkg/n.py", "source");
    write("over/pkg/__pycache__/n.pyc", "form");
    write("over/tests/__pycache__/t.pyc", "form");
    options_.exclude = {"tests/", "n.pyc"};
    scan();
    EXPECT_EQ(scanned_.tree.find("tests"), kNoEntry);
    EXPECT_EQ(node("pkg/__pycache__").child_count, 0U);
}

TEST_F(DirectorySourceTest, OtherKindsOfEntriesAreNotReplaced) {
    fs::create_directories(root_ / "tree/directory");
    fs::create_symlink("nowhere", root_ / "tree/link");
    write("over/directory", "a file");
    write("over/link/file", "in a directory");
    fs::create_symlink("nowhere", root_ / "over/other");
    scan();
    EXPECT_EQ(node("directory").type, format::InodeType::directory);
    EXPECT_EQ(node("link").type, format::InodeType::symlink);
    EXPECT_EQ(scanned_.tree.find("other"), kNoEntry);
}

/// Notes every directory with its entries: "file target/head", directories with a slash.
class Notes final : public TreeObserver {
  public:
    bool wants_head(std::string_view path, std::string_view name) const override {
        return path == "pkg" && name.ends_with(".pyc");
    }
    void visit(const SeenDirectory& directory) override {
        ASSERT_NE(directory.entries, nullptr);
        struct stat info {};
        EXPECT_EQ(::fstat(directory.descriptor, &info), 0);
        std::vector<SeenEntry> entries = *directory.entries;
        std::sort(entries.begin(), entries.end(),
                  [](const SeenEntry& a, const SeenEntry& b) { return a.name < b.name; });
        std::string text;
        for (const SeenEntry& entry : entries) {
            EXPECT_TRUE(entry.has_attributes);
            text += std::string(entry.name) + (S_ISDIR(entry.mode) ? "/" : "");
            if (entry.is_symlink()) text += "->" + std::string(entry.target);
            if (!entry.head.empty()) text += ':' + std::string(entry.head);
            if (entry.is_file())
                text += ' ' + std::to_string(entry.size_bytes) + '@' +
                        std::to_string(entry.mtime_seconds);
            text += '\n';
        }
        const std::lock_guard lock(mutex_);
        EXPECT_TRUE(seen.emplace(directory.path, text).second) << directory.path;
    }

    std::map<std::string, std::string> seen;

  private:
    std::mutex mutex_;  ///< protects seen
};

TEST_F(DirectorySourceTest, AnObserverSeesEveryEntryOnce) {
    write("tree/pkg/n.py", "source");
    write("tree/pkg/n.pyc", "a form that is longer");
    write("tree/pkg/short.pyc", "form");
    write("tree/tests/deep/t.pyc", "a test");
    write("tree/other.py", "");
    for (const char* file :
         {"pkg/n.py", "pkg/n.pyc", "pkg/short.pyc", "tests/deep/t.pyc", "other.py"})
        set_time(std::string("tree/") + file, 1234);
    fs::create_symlink("pkg/n.py", root_ / "tree/link");
    write("over/pkg/__pycache__/n.pyc", "form");
    options_.exclude = {"tests/", "other.py"};
    Notes notes;
    scan(true, &notes);
    const std::map<std::string, std::string> expected{
        {"", "link->pkg/n.py\nother.py 0@1234\npkg/\ntests/\n"},
        {"pkg", "n.py 6@1234\nn.pyc:a form that is l 21@1234\nshort.pyc:form 4@1234\n"},
        {"tests", "deep/\n"},
        {"tests/deep", "t.pyc 6@1234\n"}};
    EXPECT_EQ(notes.seen, expected);
    EXPECT_EQ(scanned_.tree.find("tests"), kNoEntry);
    EXPECT_EQ(scanned_.tree.find("other.py"), kNoEntry);
    EXPECT_NE(scanned_.tree.find("pkg/__pycache__/n.pyc"), kNoEntry);
    EXPECT_EQ(content("pkg/n.pyc").value(), "a form that is longer");
}

TEST_F(DirectorySourceTest, AScannedSourceScansOnce) {
    write("tree/file", "text");
    Notes notes;
    auto source =
        open_directory_source((root_ / "tree").string(), "", options_, std::nullopt, &notes);
    ASSERT_TRUE(source);
    ScannedSource scanned(std::move(*source));
    EXPECT_EQ(notes.seen.size(), 1U);
    ASSERT_NE(scanned.tree(), nullptr);
    EXPECT_NE(scanned.tree()->find("file"), kNoEntry);
    EXPECT_TRUE(scanned.scan());
    EXPECT_EQ(notes.seen.size(), 1U);
}

TEST_F(DirectorySourceTest, AnOverlayMustBeADirectory) {
    write("file", "");
    EXPECT_FALSE(open_directory_source((root_ / "tree").string(), (root_ / "file").string(),
                                       options_, std::nullopt));
}

}  // namespace
}  // namespace squenv::pack
