// SPDX-License-Identifier: MIT
#include "system/mount_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "base/unique_fd.h"

namespace squenv::system {
namespace {

TEST(MountTable, OneOfOurMounts) {
    const auto entry = parse_mountinfo_line(
        "512 30 0:57 / /apps/my\\040env ro,nosuid,nodev,relatime shared:7 master:1 - fuse.squenv "
        "/images/a\\134b.sqfs ro,user_id=1000,group_id=100,allow_other");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->mountpoint, "/apps/my env");
    EXPECT_EQ(entry->type, "fuse.squenv");
    EXPECT_EQ(entry->source, "/images/a\\b.sqfs");
    EXPECT_EQ(entry->user_id, 1000U);
    EXPECT_EQ(entry->group_id, 100U);
    EXPECT_EQ(entry->mount_id, 512U);
    EXPECT_EQ(entry->device_minor, 57U);
    EXPECT_TRUE(entry->is_read_only);
    EXPECT_TRUE(entry->is_squenv());
}

TEST(MountTable, OtherMounts) {
    const auto entry =
        parse_mountinfo_line("22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->mountpoint, "/");
    EXPECT_EQ(entry->user_id, std::nullopt);
    EXPECT_FALSE(entry->is_read_only);
    EXPECT_FALSE(entry->is_squenv());
    const auto old = parse_mountinfo_line("9 1 0:9 / /m ro - fuse.squashfuse_ll squashfuse_ll ro");
    ASSERT_TRUE(old);
    EXPECT_TRUE(old->is_squenv());
    EXPECT_TRUE(parse_mountinfo_line("9 1 0:9 / /m ro - proc proc")) << "no super options";
}

TEST(MountTable, AnOverlayHasNoEntryOfItsOwn) {
    std::istringstream lines(
        "63 43 0:38 / /env ro - tmpfs squenv-overlay ro\n"
        "64 63 0:39 / /env ro - fuse.squenv /i.sqfs ro,user_id=1000\n"
        "67 64 0:41 / /env ro - overlay squenv-overlay ro,lowerdir=a:b\n"
        "68 67 0:42 / /env/below rw - tmpfs tmpfs rw\n");
    const auto entries = parse_mount_table(lines);
    ASSERT_EQ(entries.size(), 3U);
    EXPECT_EQ(entries[1].type, "fuse.squenv");
    EXPECT_EQ(entries[1].device_minor, 39U);
    EXPECT_EQ(entries[1].overlay_minor, 41U);
    EXPECT_EQ(entries[2].mountpoint, "/env/below");
    EXPECT_EQ(entries[2].overlay_minor, 0U);
}

TEST(MountTable, AnOverlayOfAnythingElseIsAMount) {
    const std::string other = "64 63 0:40 / /env ro - overlay squenv-overlay ro\n";
    for (const std::string below :
         {"", "1 0 0:1 / /env ro - tmpfs t ro\n", "1 0 0:1 / /other ro - fuse.squenv i ro\n",
          "1 0 0:1 / /env ro - fuse.squenv i ro\n2 1 0:2 / /env ro - ext4 e ro\n"}) {
        std::istringstream lines(below + other);
        const auto entries = parse_mount_table(lines);
        ASSERT_FALSE(entries.empty());
        EXPECT_EQ(entries.back().source, "squenv-overlay") << below;
    }
}

TEST(MountTable, WhomToTrust) {
    MountEntry entry;
    entry.type = "fuse.squenv";
    EXPECT_FALSE(entry.is_trusted_by(0)) << "not known who mounted it";
    entry.user_id = 1000;
    EXPECT_TRUE(entry.is_trusted_by(1000));
    EXPECT_FALSE(entry.is_trusted_by(1001));
    EXPECT_FALSE(entry.is_trusted_by(0));
    entry.user_id = 0;
    EXPECT_TRUE(entry.is_trusted_by(0));
    EXPECT_TRUE(entry.is_trusted_by(1000)) << "root can do anything anyway";
}

TEST(MountTable, WhatIsNotALine) {
    for (const char* line :
         {"", " ", "1 2 3", "1 2 0:5 / /m rw", "1 2 0:5 / /m rw shared:1", "1 2 0:5 / /m rw -",
          "1 2 0:5 / /m rw - ext4", "1 2 nocolon / /m rw - a b"})
        EXPECT_FALSE(parse_mountinfo_line(line)) << line;
}

TEST(MountTable, NumbersAreReadWholeOrNotAtAll) {
    for (const char* device : {"0:", "0:x", "0:5x", "0:5:6", "0:-1", "0:4294967296"})
        EXPECT_FALSE(
            parse_mountinfo_line(std::string("1 2 ") + device + " / /m ro - fuse.squenv i ro"))
            << device;
    for (const char* id : {"", "x", "7x", "-1", "4294967296"}) {
        const auto entry = parse_mountinfo_line(
            std::string("1 2 0:5 / /m ro - fuse.squenv i ro,user_id=") + id + ",group_id=" + id);
        ASSERT_TRUE(entry) << id;
        EXPECT_EQ(entry->user_id, std::nullopt) << id;
        EXPECT_EQ(entry->group_id, std::nullopt) << id;
    }
}

TEST(MountTable, BrokenEscapesStayAsTheyAre) {
    for (const char* text : {"/a\\", "/a\\0", "/a\\04", "/a\\0x0", "/a\\999", "/a\\777"}) {
        const auto entry =
            parse_mountinfo_line(std::string("1 2 0:5 / ") + text + " rw - fuse.squenv i rw");
        ASSERT_TRUE(entry);
        EXPECT_EQ(entry->mountpoint, text);
    }
}

TEST(MountTable, ThisMachineHasARoot) {
    const auto root = find_mount("/");
    ASSERT_TRUE(root) << root.error().message();
    EXPECT_FALSE(find_mount("/no/such/mount").value());
}

TEST(MountTable, AnOpenFileLeadsIntoAMount) {
    const UniqueFd file(::open("/proc/self", O_PATH | O_CLOEXEC));
    ASSERT_TRUE(file);
    const auto proc = find_mount("/proc");
    ASSERT_TRUE(proc && *proc);
    EXPECT_EQ(mount_id_of(file.get()), (*proc)->mount_id);
    EXPECT_EQ(mount_id_of(9999), std::nullopt);
}

TEST(MountTable, MountpointsAreMadeAbsolute) {
    EXPECT_EQ(canonical_mountpoint("/").value(), "/");
    EXPECT_EQ(canonical_mountpoint("/nowhere-squenv").value(), "/nowhere-squenv");
    EXPECT_EQ(canonical_mountpoint("/./nowhere-squenv/").value(), "/nowhere-squenv");
    EXPECT_EQ(canonical_mountpoint("/nowhere-squenv/x/../y").value(), "/nowhere-squenv/y");
    EXPECT_EQ(canonical_mountpoint("").error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace squenv::system
