// SPDX-License-Identifier: MIT
#include "fuse/file_system.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "support/reading.h"

namespace squenv::test {
namespace {

class FileSystemTest : public testing::Test {
  protected:
    BuiltImage built_ = sample_tree().build();
    std::unique_ptr<image::Image> image_ = std::move(open_image(built_).value());
    fuse::FileSystem files_ = fuse::FileSystem::create(*image_, {}).value();

    fuse::Node at(const std::string& name, fuse::NodeId parent = fuse::kRootNode) {
        return files_.lookup(parent, name).value().value();
    }
};

TEST_F(FileSystemTest, AttributesAreThoseOfStat) {
    const auto big = at("big");
    EXPECT_EQ(big.attributes.st_mode, static_cast<mode_t>(S_IFREG | 0644));
    EXPECT_EQ(big.attributes.st_size, 3 * 4096 + 500);
    EXPECT_EQ(big.attributes.st_blocks, (3 * 4096 + 500 + 511) / 512);
    EXPECT_EQ(big.attributes.st_uid, 1000U);
    EXPECT_EQ(big.attributes.st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(at("sparse").attributes.st_blocks, 2 * 4096 / 512);
    EXPECT_EQ(at("link").attributes.st_size, 10);
    EXPECT_EQ(at("tty").attributes.st_rdev, makedev(5, 1));
    EXPECT_EQ(files_.attributes(fuse::kRootNode).value().st_mode,
              static_cast<mode_t>(S_IFDIR | 0755));
    EXPECT_EQ(files_.attributes(big.id).value().st_ino, big.attributes.st_ino);
}

TEST_F(FileSystemTest, ListingsGoOnFromAnyOffset) {
    std::vector<std::string> names;
    std::uint64_t offset = 0;
    for (bool is_done = false; !is_done;) {
        is_done = true;
        ASSERT_TRUE(files_.list(fuse::kRootNode, offset, [&](const fuse::FileSystem::Entry& entry) {
            if (!is_done) return false;
            names.emplace_back(entry.name);
            offset = entry.next_offset;
            is_done = false;
            return true;
        }));
    }
    std::vector<std::string> expected{".", ".."};
    for (const auto& name : built_.directories.at("")) expected.push_back(name);
    EXPECT_EQ(names, expected);
}

TEST_F(FileSystemTest, WrongKindsOfObjects) {
    const auto big = at("big").id;
    const auto dir = at("dir").id;
    EXPECT_EQ(to_errno(files_.lookup(big, "x").error()), ENOTDIR);
    EXPECT_EQ(to_errno(files_.list(big, 0, [](const auto&) { return true; }).error()), ENOTDIR);
    EXPECT_EQ(to_errno(files_.file(dir).error()), EINVAL);
    EXPECT_EQ(to_errno(files_.read_link(big).error()), EINVAL);
    EXPECT_FALSE(files_.lookup(dir, "none").value());
}

TEST_F(FileSystemTest, NodesThatNeverExistedAreErrors) {
    for (const fuse::NodeId node : {3ULL, 0xFFFFULL, 0xFFFFFFFFFFFFULL, ~0ULL})
        EXPECT_EQ(to_errno(files_.attributes(node).error()), EIO) << node;
}

TEST_F(FileSystemTest, OwnersCanBeOverridden) {
    fuse::ViewOptions view;
    view.uid = 7;
    view.gid = 8;
    view.subdirectory = "dir";
    const auto files = fuse::FileSystem::create(*image_, view).value();
    const auto leaf = files.lookup(fuse::kRootNode, "a").value().value();
    EXPECT_EQ(leaf.attributes.st_uid, 7U);
    EXPECT_EQ(leaf.attributes.st_gid, 8U);
    view.subdirectory = "small";
    EXPECT_EQ(fuse::FileSystem::create(*image_, view).error().code, Errc::invalid_argument);
    view.subdirectory = "none";
    EXPECT_EQ(fuse::FileSystem::create(*image_, view).error().code, Errc::not_found);
}

TEST_F(FileSystemTest, StatisticsDescribeTheImage) {
    const auto info = files_.statistics();
    EXPECT_EQ(info.f_namemax, 255U);
    EXPECT_EQ(info.f_files, image_->superblock().inode_count);
}

}  // namespace
}  // namespace squenv::test
