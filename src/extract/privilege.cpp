// SPDX-License-Identifier: MIT
#include "extract/privilege.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace squenv::extract {

namespace {

/// PROC_USER_INIT_INO of Linux, the same since 3.8.
constexpr ino_t kInitialUserNamespace = 0xEFFFFFFD;

}  // namespace

bool has_root_account() {
    if (::geteuid() != 0) return false;
    const auto space = open_file("/proc/self/ns/user", O_RDONLY);
    // A kernel without user namespaces has the other files of this directory.
    if (!space) return ::access("/proc/self/ns/mnt", F_OK) == 0;
    struct stat info {};
    if (::fstat(space->get(), &info) != 0) return false;
    if (info.st_ino == kInitialUserNamespace) return true;
    // The user who made the namespace, as this namespace names him.
    uid_t maker = 0;
    return ::ioctl(space->get(), NS_GET_OWNER_UID, &maker) == 0 && maker != ::geteuid();
}

}  // namespace squenv::extract
