// SPDX-License-Identifier: MIT
#include "mount/fusermount_program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "system/subprocess.h"

namespace squenv::mount {
namespace {

class Mtab : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = std::filesystem::temp_directory_path() / "squenv-mtab-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    [[nodiscard]] std::string path() const { return directory_ / "mtab"; }
    /// What check_mtab() says; "" when it passes.
    [[nodiscard]] std::string refusal() const {
        const auto status = check_mtab(path());
        if (status) return {};
        EXPECT_EQ(status.error().code, Errc::environment);
        // The keeper tells "not mounted any more" by ENOENT.
        EXPECT_EQ(status.error().sys_errno, 0);
        return status.error().message();
    }
    std::filesystem::path directory_;
};

TEST_F(Mtab, FollowsTheKernel) {
    for (const char* target : {"/proc/self/mounts", "/proc/mounts", "/proc/self/mountinfo"}) {
        std::filesystem::create_symlink(target, path());
        EXPECT_EQ(refusal(), "") << target;
        std::filesystem::remove(path());
    }
}

TEST_F(Mtab, IsMissing) {
    EXPECT_NE(refusal().find("No such file or directory"), std::string::npos);
    EXPECT_NE(refusal().find("'ln -s /proc/self/mounts " + path()), std::string::npos);
    std::filesystem::create_symlink(directory_ / "nowhere", path());
    EXPECT_NE(refusal().find("No such file or directory"), std::string::npos);
    EXPECT_NE(refusal().find("'ln -sf /proc/self/mounts " + path()), std::string::npos);
}

TEST_F(Mtab, IsAFileOfItsOwn) {
    std::ofstream(path()).close();
    EXPECT_NE(refusal().find("'ln -sf /proc/self/mounts " + path()), std::string::npos);
    // A copy is right for as long as nothing is mounted.
    std::ofstream(path()) << std::ifstream("/proc/self/mounts").rdbuf();
    EXPECT_NE(refusal().find("does not follow"), std::string::npos);
}

TEST(Fusermount, AdviceFollowsTheMessage) {
    const std::pair<const char*, const char*> rows[] = {
        {"fusermount3: option allow_other only allowed if 'user_allow_other' is set in "
         "/etc/fuse.conf",
         "adds 'user_allow_other'"},
        {"fusermount3: failed to open /etc/fuse.conf: Permission denied; fusermount3: option "
         "allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
         "chmod 644"},
        {"fusermount3: failed to open /etc/fuse.conf: Permission denied", "chmod 644"},
        {"fusermount3: failed to open /etc/fuse.conf: Permission denied; fusermount3: mount "
         "failed: Permission denied",
         "AppArmor"},
        {"fusermount3: mount failed: Permission denied", "mount elsewhere"},
        {"fusermount3: mount failed: Operation not permitted", "CAP_SYS_ADMIN"},
        {"fusermount3: failed to open /etc/fuse.conf: Permission denied; fusermount3: mount "
         "failed: Operation not permitted",
         "CAP_SYS_ADMIN"},
        {"fusermount3: failed to unmount /srv/v: Permission denied", "'umount' in its profile"},
        {"fusermount3: failed to unmount /srv/v: Operation not permitted", "another namespace"},
        {"fusermount3: could not determine username", "libnss-unknown"},
        {"fusermount3: failed to open /etc/mtab: No such file or directory",
         "ln -s /proc/self/mounts /etc/mtab"},
        {"fusermount3: user has no write access to mountpoint /srv/v", "belongs to you"},
        {"fusermount3: fuse device not found, try 'modprobe fuse' first", "modprobe fuse"},
        {"fusermount3: too many FUSE filesystems; mount_max=N can be set in /etc/fuse.conf",
         "mount_max"},
    };
    for (const auto& [message, word] : rows)
        EXPECT_NE(fusermount_remedy(message).find(word), std::string::npos) << message;
    EXPECT_EQ(fusermount_remedy("fusermount3: no such reason"), "");
}

TEST(Fusermount, ReasonIsOneLine) {
    EXPECT_EQ(fusermount_reason({256, "one\ntwo"}), "one; two");
    EXPECT_EQ(fusermount_reason({256, ""}), "fusermount3 failed");
    EXPECT_NE(fusermount_reason({SIGTERM, ""}).find("signal 15"), std::string::npos);
}

/// What a helper inherits, as it says itself.
std::string seen_by_helper(const std::string& script, int kept_fd) {
    const auto result =
        system::run_subprocess({"/bin/sh", "-c", "{ " + script + "; } >&2"}, {}, kept_fd);
    return result ? result->errors : result.error().message();
}

TEST(Subprocess, InheritsNothingElse) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const int kept = ::dup2(ends[0], 77);
    const int other = ::dup2(ends[0], 78);
    struct sigaction before {};
    struct sigaction ignored {};
    ignored.sa_handler = SIG_IGN;
    ::sigaction(SIGHUP, &ignored, &before);
    const auto seen = seen_by_helper(
        "umask; test -e /proc/$$/fd/77 && echo kept; test -e /proc/$$/fd/78 || echo closed; "
        "exec grep -E '^Sig(Blk|Ign)' /proc/self/status",
        kept);
    ::sigaction(SIGHUP, &before, nullptr);
    for (const int fd : {ends[0], ends[1], kept, other}) ::close(fd);
    EXPECT_EQ(seen, "0022\nkept\nclosed\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000");
}

TEST(Subprocess, HasNoLibrariesOfTheCaller) {
    ::setenv("LD_LIBRARY_PATH", "/nowhere", 1);
    const auto seen = seen_by_helper("echo $LD_LIBRARY_PATH$LD_PRELOAD", -1);
    ::unsetenv("LD_LIBRARY_PATH");
    EXPECT_EQ(seen, "");
}

}  // namespace
}  // namespace squenv::mount
