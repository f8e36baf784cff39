// SPDX-License-Identifier: MIT
#include "repack/merge_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "image/walk.h"
#include "pack/pack.h"
#include "verify/digests.h"

namespace squenv::repack {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t kTime = 1'700'000'000;
constexpr std::uint32_t kBlockSize = 4096;

/// An image of `tree`, and an upper layer over it, as an overlay would leave it.
class MergeSourceTest : public testing::Test {
  protected:
    MergeSourceTest() {
        std::string name = (fs::temp_directory_path() / "squenv-unit-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
        tree_ = path_ / "tree";
        upper_ = path_ / "upper";
        fs::create_directory(tree_);
        fs::create_directory(upper_);
        options_.block_size = kBlockSize;
        options_.replaces_output = true;
    }
    ~MergeSourceTest() override { fs::remove_all(path_); }

    static void age(const fs::path& path) {
        const timespec times[2]{{kTime, 0}, {kTime, 0}};
        ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
    }
    static void write(const fs::path& path, const std::string& text) {
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
        ::chmod(path.c_str(), 0644);
        age(path);
    }
    static std::string noise(std::size_t size, unsigned seed) {
        std::mt19937 random(seed);
        std::string text(size, '\0');
        std::generate(text.begin(), text.end(), [&] { return static_cast<char>(random()); });
        return text;
    }
    void white_out(const std::string& name) const {
        fs::create_directories((upper_ / name).parent_path());
        ASSERT_EQ(::mknod((upper_ / name).c_str(), S_IFCHR, 0), 0);
    }
    void make_opaque(const std::string& name) const {
        fs::create_directories(upper_ / name);
        ASSERT_EQ(::setxattr((upper_ / name).c_str(), "user.overlay.opaque", "y", 1, 0), 0);
    }

    void pack_tree() {
        const auto source = pack::open_directory(tree_.string(), image_path(), options_);
        ASSERT_TRUE(source);
        const auto report = pack::pack(**source, image_path(), options_);
        ASSERT_TRUE(report) << report.error().error.message();
    }
    [[nodiscard]] std::string image_path() const { return (path_ / "old.squashfs").string(); }
    [[nodiscard]] std::string next_path() const { return (path_ / "new.squashfs").string(); }

    Result<Changes> compare(UpperOwners owners = UpperOwners::as_they_are) {
        auto image = image::Image::open(image_path());
        EXPECT_TRUE(image);
        source_ =
            std::make_unique<MergeSource>(std::move(*image), upper_.string(), owners, options_);
        return source_->compare();
    }
    Changes changes(UpperOwners owners = UpperOwners::as_they_are) {
        const auto found = compare(owners);
        EXPECT_TRUE(found) << found.error().message();
        return found.value_or(Changes{});
    }
    /// The merged image, opened. `adopts`: into a file that has the old blocks already.
    image::Image& merged(UpperOwners owners = UpperOwners::as_they_are, bool adopts = false) {
        changes(owners);
        auto writer = pack::ImageWriter::create(next_path(), true);
        EXPECT_TRUE(writer);
        if (adopts) adopt(*writer);
        const auto report =
            pack::pack(*source_, next_path(), options_, {}, {}, adopts ? &*writer : nullptr);
        EXPECT_TRUE(report) << report.error().error.message();
        auto image = image::Image::open(next_path());
        EXPECT_TRUE(image);
        next_ = std::move(*image);
        return *next_;
    }

    void adopt(pack::ImageWriter& writer) const {
        const auto old = image::Image::open(image_path());
        ASSERT_TRUE(old);
        const auto file = open_file(image_path(), O_RDONLY);
        ASSERT_TRUE(file);
        const std::atomic<bool> cancel = false;
        ASSERT_TRUE(writer.adopt(file->get(), (*old)->superblock().inode_table_start, cancel));
    }

    static std::set<std::string> paths(const image::Image& image) {
        std::set<std::string> all;
        image::WalkVisitor visitor;
        visitor.enter = [&](const std::string& path, const image::Inode&) {
            all.insert(path);
            return true;
        };
        visitor.failed = [](const std::string& path, const Error&) {
            ADD_FAILURE() << path;
            return true;
        };
        image::walk(image, image.root(), visitor);
        return all;
    }
    static std::string text_of(const image::Image& image, const std::string& path) {
        const auto inode = image.resolve(path);
        if (!inode) return "missing: " + inode.error().message();
        std::string text(inode->size_bytes, '\0');
        const auto status = read_file(
            image, *inode, 0, MutableBytes(reinterpret_cast<std::byte*>(text.data()), text.size()));
        return status ? text : "unreadable: " + status.error().message();
    }
    static std::set<Sha256> digests(const image::Image& image) {
        std::set<Sha256> all;
        const auto appendix = image.appendix();
        EXPECT_TRUE(appendix && *appendix);
        for (const auto& one : (*appendix)->digests) all.insert(one.digest);
        return all;
    }

    fs::path path_;
    fs::path tree_;
    fs::path upper_;
    pack::Options options_;
    std::unique_ptr<MergeSource> source_;
    std::unique_ptr<image::Image> next_;
};

TEST_F(MergeSourceTest, AnEmptyUpperLayerChangesNothing) {
    write(tree_ / "a", "text");
    pack_tree();
    EXPECT_TRUE(changes().is_empty());
    EXPECT_EQ(text_of(merged(), "a"), "text");
}

TEST_F(MergeSourceTest, WhiteoutsRemoveFilesAndDirectories) {
    for (const char* name : {"a", "b", "d/inner/x", "d/y", "e/z"}) write(tree_ / name, name);
    pack_tree();
    white_out("a");
    white_out("d");
    white_out("e/z");
    const auto& image = merged();
    EXPECT_EQ(paths(image), (std::set<std::string>{"", "b", "e"}));
    EXPECT_EQ(changes().removed, 6U);
    EXPECT_EQ(changes().written, 0U);
}

TEST_F(MergeSourceTest, AnOpaqueDirectoryHidesWhatWasInIt) {
    for (const char* name : {"d/x", "d/y/z", "dd"}) write(tree_ / name, name);
    pack_tree();
    make_opaque("d");
    write(upper_ / "d/x", "fresh");
    const auto& image = merged();
    EXPECT_EQ(paths(image), (std::set<std::string>{"", "d", "d/x", "dd"}));
    EXPECT_EQ(text_of(image, "d/x"), "fresh");
    const auto directory = image.resolve("d");
    ASSERT_TRUE(directory);
    EXPECT_EQ(directory->xattr_index, format::kNoXattr);
}

TEST_F(MergeSourceTest, ADirectoryThatIsNotOpaqueIsMerged) {
    for (const char* name : {"d/x", "d/y"}) write(tree_ / name, name);
    pack_tree();
    write(upper_ / "d/z", "fresh");
    EXPECT_EQ(paths(merged()), (std::set<std::string>{"", "d", "d/x", "d/y", "d/z"}));
    EXPECT_EQ(changes().written, 1U);
}

TEST_F(MergeSourceTest, ObjectsChangeTheirType) {
    for (const char* name : {"file", "link", "d/x", "d/y"}) write(tree_ / name, name);
    pack_tree();
    write(upper_ / "file/in", "in");
    fs::create_symlink("file", upper_ / "link");
    write(upper_ / "d", "no directory");
    const auto& image = merged();
    EXPECT_EQ(paths(image), (std::set<std::string>{"", "d", "file", "file/in", "link"}));
    EXPECT_EQ(text_of(image, "d"), "no directory");
    const auto link = image.resolve("link");
    ASSERT_TRUE(link && link->is_symlink());
    EXPECT_EQ(image.read_link(*link).value_or(""), "file");
}

TEST_F(MergeSourceTest, WhatWasCopiedUpAndIsAsItWasDoesNotCount) {
    write(tree_ / "d/x", "text");
    ::chmod((tree_ / "d").c_str(), 0755);
    pack_tree();
    write(upper_ / "d/x", "text");
    ::chmod((upper_ / "d").c_str(), 0755);
    EXPECT_TRUE(changes().is_empty());
    write(upper_ / "d/x", "tEXT");
    EXPECT_EQ(changes().written, 1U);
    write(upper_ / "d/x", "text");
    ::chmod((upper_ / "d/x").c_str(), 0600);
    EXPECT_EQ(changes().written, 1U);
    ::chmod((upper_ / "d/x").c_str(), 0644);
    ::utimensat(AT_FDCWD, (upper_ / "d/x").c_str(), nullptr, 0);
    EXPECT_EQ(changes().written, 1U);
}

TEST_F(MergeSourceTest, HardLinksOfBothLayersStay) {
    write(tree_ / "a", "old");
    fs::create_hard_link(tree_ / "a", tree_ / "b");
    fs::create_hard_link(tree_ / "a", tree_ / "c");
    pack_tree();
    write(upper_ / "c", "new");
    fs::create_hard_link(upper_ / "c", upper_ / "d");
    const auto& image = merged();
    const auto number = [&](const char* path) { return image.resolve(path)->number; };
    const auto links = [&](const char* path) { return image.resolve(path)->nlink; };
    EXPECT_EQ(number("a"), number("b"));
    EXPECT_EQ(number("c"), number("d"));
    EXPECT_NE(number("a"), number("c"));
    EXPECT_EQ(links("a"), 2U);
    EXPECT_EQ(links("c"), 2U);
    EXPECT_EQ(text_of(image, "b"), "old");
    EXPECT_EQ(text_of(image, "d"), "new");
}

TEST_F(MergeSourceTest, AttributesStayButForThoseOfTheOverlay) {
    write(tree_ / "old", "old");
    ASSERT_EQ(::setxattr((tree_ / "old").c_str(), "user.note", "1", 1, 0), 0);
    ASSERT_EQ(::setxattr(tree_.c_str(), "user.root", "2", 1, 0), 0);
    pack_tree();
    write(upper_ / "new", "new");
    ASSERT_EQ(::setxattr((upper_ / "new").c_str(), "user.overlay.origin", "x", 1, 0), 0);
    ASSERT_EQ(::setxattr((upper_ / "new").c_str(), "user.note", "3", 1, 0), 0);
    const auto& image = merged();
    const auto attributes = [&](const char* path) {
        std::map<std::string, std::string> all;
        EXPECT_TRUE(image.xattrs().visit(*image.resolve(path),
                                         [&](const std::string& name, const ByteVector& value) {
                                             all[name] = std::string(as_text(value));
                                             return true;
                                         }));
        return all;
    };
    using Attributes = std::map<std::string, std::string>;
    EXPECT_EQ(attributes("old"), (Attributes{{"user.note", "1"}}));
    EXPECT_EQ(attributes("new"), (Attributes{{"user.note", "3"}}));
    EXPECT_EQ(attributes(""), (Attributes{{"user.root", "2"}}));
}

TEST_F(MergeSourceTest, InventedOwnersAreThoseOfTheImage) {
    write(tree_ / "d/x", "x");
    options_.owner = {pack::Ownership::Kind::fixed, 5, 6};
    pack_tree();
    options_.owner = {};
    write(upper_ / "d/x", "changed");
    write(upper_ / "d/fresh/y", "y");
    const auto& image = merged(UpperOwners::invented);
    for (const char* path : {"", "d", "d/x", "d/fresh", "d/fresh/y"}) {
        const auto inode = image.resolve(path);
        ASSERT_TRUE(inode) << path;
        EXPECT_EQ(inode->uid, 5U) << path;
        EXPECT_EQ(inode->gid, 6U) << path;
    }
}

TEST_F(MergeSourceTest, StoredBlocksAreTakenOver) {
    const std::string large = noise(5 * kBlockSize + 100, 1);
    write(tree_ / "large", large);
    write(tree_ / "copy", large);
    write(tree_ / "holes", std::string(3 * kBlockSize, '\0') + "end");
    for (int i = 0; i < 8; ++i)
        write(tree_ / ("small" + std::to_string(i)), noise(900, static_cast<unsigned>(10 + i)));
    pack_tree();
    const auto old = image::Image::open(image_path());
    ASSERT_TRUE(old);
    white_out("small0");
    write(upper_ / "fresh", noise(2 * kBlockSize, 99));
    const auto& image = merged();
    EXPECT_EQ(text_of(image, "large"), large);
    EXPECT_EQ(text_of(image, "copy"), large);
    EXPECT_EQ(image.resolve("large")->blocks_start, image.resolve("copy")->blocks_start);
    EXPECT_EQ(text_of(image, "holes"), std::string(3 * kBlockSize, '\0') + "end");
    EXPECT_EQ(text_of(image, "fresh"), noise(2 * kBlockSize, 99));
    for (int i = 1; i < 8; ++i)
        EXPECT_EQ(text_of(image, "small" + std::to_string(i)),
                  noise(900, static_cast<unsigned>(10 + i)));
    // small0 shared a block with three others, and the other block has small4 to small7.
    const auto before = digests(**old);
    const auto after = digests(image);
    std::size_t same = 0;
    for (const auto& digest : before) same += after.count(digest);
    EXPECT_GE(same, 7U) << "six blocks of large and one of small files";
    const auto damage = verify::find_digest_damage(image, 1);
    ASSERT_TRUE(damage);
    EXPECT_TRUE(damage->is_empty());
}

TEST_F(MergeSourceTest, WhatIsAdoptedStaysWhereItIs) {
    const std::string large = noise(60 * kBlockSize + 100, 1);
    write(tree_ / "large", large);
    write(tree_ / "small", "small");
    write(tree_ / "gone", "gone");
    pack_tree();
    std::uint64_t start = 0;
    {
        const auto old = image::Image::open(image_path());
        ASSERT_TRUE(old);
        start = (*old)->resolve("large")->blocks_start;
    }
    white_out("gone");
    write(upper_ / "fresh", noise(2 * kBlockSize, 2));
    write(upper_ / "tiny", "tiny");
    const auto& image = merged(UpperOwners::as_they_are, true);
    EXPECT_EQ(image.resolve("large")->blocks_start, start);
    EXPECT_EQ(text_of(image, "large"), large);
    EXPECT_EQ(text_of(image, "small"), "small");
    EXPECT_EQ(text_of(image, "fresh"), noise(2 * kBlockSize, 2));
    EXPECT_EQ(text_of(image, "tiny"), "tiny");
    EXPECT_EQ(paths(image), (std::set<std::string>{"", "fresh", "large", "small", "tiny"}));
    const auto damage = verify::find_digest_damage(image, 1);
    ASSERT_TRUE(damage);
    EXPECT_TRUE(damage->is_empty());
    EXPECT_GT(digests(image).size(), 60U);
}

TEST_F(MergeSourceTest, WhatIsOfNoUseAnyMoreIsNotKept) {
    write(tree_ / "large", noise(60 * kBlockSize, 1));
    write(tree_ / "stays", noise(20 * kBlockSize, 2));
    pack_tree();
    white_out("large");
    const auto& image = merged(UpperOwners::as_they_are, true);
    EXPECT_EQ(text_of(image, "stays"), noise(20 * kBlockSize, 2));
    EXPECT_LT(fs::file_size(next_path()), 30U * kBlockSize);
    const auto damage = verify::find_digest_damage(image, 1);
    ASSERT_TRUE(damage);
    EXPECT_TRUE(damage->is_empty());
}

TEST_F(MergeSourceTest, HotFilesStayFirst) {
    for (int i = 0; i < 6; ++i)
        write(tree_ / ("f" + std::to_string(i)),
              noise(3 * kBlockSize, static_cast<unsigned>(20 + i)));
    options_.hot = {{Touch::Use::read, "f4", 0, 100}, {Touch::Use::read, "f2", 0, 100}};
    pack_tree();
    write(upper_ / "a", noise(3 * kBlockSize, 30));
    const auto& image = merged();
    const auto start = [&](const char* path) { return image.resolve(path)->blocks_start; };
    EXPECT_LT(start("f4"), start("f2"));
    for (const char* other : {"a", "f0", "f1", "f3", "f5"}) EXPECT_LT(start("f2"), start(other));
    const auto hot = image.hot_list();
    ASSERT_TRUE(hot);
    EXPECT_EQ(
        std::count_if(hot->begin(), hot->end(),
                      [](const auto& item) { return item.kind == appendix::HotItem::Kind::range; }),
        2);
}

/// Changes the byte at `position` of a file.
void damage(const std::string& path, std::uint64_t position) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(position));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(position));
    file.put(static_cast<char>(byte ^ 1));
}

TEST_F(MergeSourceTest, DamageStaysVisible) {
    write(tree_ / "large", noise(2 * kBlockSize, 1));
    pack_tree();
    damage(image_path(), (*image::Image::open(image_path()))->resolve("large")->blocks_start + 9);
    write(upper_ / "fresh", "fresh");
    const auto found = verify::find_digest_damage(merged(), 1);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->files, std::vector<std::string>{"large"});
}

TEST_F(MergeSourceTest, ADamagedBlockIsNotPackedAnew) {
    write(tree_ / "a", noise(900, 1));
    write(tree_ / "b", noise(900, 2));
    pack_tree();
    std::uint64_t position = 0;
    {
        const auto image = image::Image::open(image_path());
        ASSERT_TRUE(image);
        ASSERT_TRUE((*image)->data().visit_places(
            *(*image)->resolve("b"),
            [&](const image::BlockPlace& place) { position = place.position; }));
    }
    damage(image_path(), position + 5);
    EXPECT_TRUE(compare());
    white_out("a");
    const auto refused = compare();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::corrupt);
}

TEST_F(MergeSourceTest, AnotherCodecTakesNothingOver) {
    write(tree_ / "a", noise(3 * kBlockSize, 1));
    options_.codec = pack::Codec::gzip;
    pack_tree();
    changes();
    EXPECT_NE(source_->stored_blocks(), nullptr);
    options_.codec = pack::Codec::zstd;
    EXPECT_EQ(source_->stored_blocks(), nullptr);
    EXPECT_EQ(text_of(merged(), "a"), noise(3 * kBlockSize, 1));
}

}  // namespace
}  // namespace squenv::repack
