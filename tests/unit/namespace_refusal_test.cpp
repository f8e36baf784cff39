// SPDX-License-Identifier: MIT
#include "system/namespace_refusal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace squenv::system {
namespace {

const std::string kRoot = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";
const std::string kProc = "24 22 0:22 / /proc rw shared:2 - proc proc rw\n";
const std::string kBind = "90 22 8:1 / /srv/chroot rw shared:1 - ext4 /dev/sda1 rw\n";

TEST(ChangedRoot, SameAsOfTheOther) {
    EXPECT_FALSE(has_changed_root(kRoot + kProc, kRoot + kProc + kBind));
    // Of two mounts at "/" the later one is seen.
    const std::string first = "1 1 0:2 / / rw - rootfs rootfs rw\n";
    EXPECT_FALSE(has_changed_root(first + kRoot, first + kRoot + kBind));
}

TEST(ChangedRoot, DirectoryWithinAMount) {
    EXPECT_TRUE(has_changed_root("95 22 0:22 / /proc rw - proc proc rw\n", kRoot + kProc));
    EXPECT_TRUE(has_changed_root("95 22 0:22 / /proc rw - proc proc rw\n", ""));
}

TEST(ChangedRoot, MountThatTheOtherHasElsewhere) {
    EXPECT_TRUE(
        has_changed_root("90 22 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n", kRoot + kProc + kBind));
}

TEST(ChangedRoot, OtherMountNamespace) {
    EXPECT_FALSE(has_changed_root("700 600 0:50 / / rw - overlay overlay rw\n", kRoot + kProc));
    EXPECT_FALSE(has_changed_root(kRoot, ""));
}

TEST(ChangedRoot, TextThatIsNoneOfIt) {
    EXPECT_FALSE(has_changed_root("", kRoot));
    EXPECT_FALSE(has_changed_root("", ""));
    EXPECT_TRUE(has_changed_root("\n\nx y\n", "\n"));
}

bool are_switched_off() {
    std::ifstream file("/proc/sys/user/max_user_namespaces");
    int limit = -1;
    file >> limit;
    return limit == 0;
}

TEST(NamespaceRemedy, FollowsCodeAndStep) {
    if (are_switched_off()) GTEST_SKIP() << "user.max_user_namespaces is 0, which comes first";
    const auto remedy = [](int code, const char* step, Standing before) {
        return namespace_remedy(code, step, before);
    };
    const char* const map = "/proc/self/uid_map";
    EXPECT_NE(remedy(EPERM, map, {0, false}).find("CAP_SETFCAP"), std::string::npos);
    EXPECT_EQ(remedy(EPERM, map, {0, true}).find("CAP_SETFCAP"), std::string::npos);
    EXPECT_EQ(remedy(EPERM, map, {1000, false}).find("CAP_SETFCAP"), std::string::npos);
    EXPECT_EQ(remedy(EINVAL, map, {1000, false}), "");
    if (::access("/proc/self/ns/user", F_OK) == 0) {
        EXPECT_NE(remedy(EINVAL, "unshare", {1000, false}).find("several threads"),
                  std::string::npos);
    }
    EXPECT_EQ(remedy(ENOMEM, "unshare", {1000, false}), "");
}

TEST(NamespaceRemedy, StandingIsThatOfTheProcess) {
    EXPECT_EQ(own_standing().uid, ::geteuid());
}

}  // namespace
}  // namespace squenv::system
