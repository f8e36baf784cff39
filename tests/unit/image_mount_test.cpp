// SPDX-License-Identifier: MIT
#include "pack/image_mount.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <optional>
#include <sstream>
#include <string>

namespace squenv::pack {
namespace {

constexpr const char* kTable =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "short line\n"
    "31 22 0:40 / /home/u/.venv ro,nosuid shared:2 master:7 - fuse.squenv /home/u/a\\040b.squashfs "
    "ro,user_id=1\n"
    "32 22 0:41 / /mnt/sshfs rw - fuse.sshfs host:/x rw\n"
    "33 22 0:42 / /old ro - fuse.squashfuse old.sqsh ro\n"
    "34 22 0:40 / /srv/venv ro - fuse.squenv /home/u/a\\040b.squashfs ro\n";

std::optional<ImageMount> find(unsigned minor_number, const std::string& directory) {
    std::istringstream table(kTable);
    return find_image_mount(table, makedev(minor_number == 1 ? 8U : 0U, minor_number), directory);
}

TEST(ImageMount, IsFoundByItsDevice) {
    const auto mount = find(40, "/home/u/.venv");
    ASSERT_TRUE(mount);
    EXPECT_EQ(mount->mountpoint, "/home/u/.venv");
    EXPECT_EQ(mount->image, "/home/u/a b.squashfs");
    EXPECT_EQ(find(42, "/old/lib")->mountpoint, "/old");
}

TEST(ImageMount, ThePlaceIsTheOneTheDirectoryIsIn) {
    EXPECT_EQ(find(40, "/srv/venv/lib")->mountpoint, "/srv/venv");
    EXPECT_EQ(find(40, "/home/u/.venv/lib")->mountpoint, "/home/u/.venv");
    EXPECT_TRUE(find(40, "/some/other/name"));
    EXPECT_EQ(find(40, "/srv/venv2")->mountpoint, "/home/u/.venv");
}

TEST(ImageMount, IsNoneOfOtherFileSystems) {
    EXPECT_FALSE(find(1, "/home/u"));
    EXPECT_FALSE(find(41, "/mnt/sshfs"));
    EXPECT_FALSE(find(99, "/home/u/.venv"));
    EXPECT_FALSE(image_mount_of("/proc"));
    EXPECT_FALSE(image_mount_of("/no/such/directory"));
}

}  // namespace
}  // namespace squenv::pack
