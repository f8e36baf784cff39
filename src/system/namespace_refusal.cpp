// SPDX-License-Identifier: MIT
#include "system/namespace_refusal.h"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>

#include "base/file_io.h"
#include "system/capabilities.h"

namespace squenv::system {

namespace {

constexpr const char* kMaxUsers = "/proc/sys/user/max_user_namespaces";
constexpr const char* kMaxMounts = "/proc/sys/user/max_mnt_namespaces";
/// The limit of a new user namespace. It means that the limit of an outer namespace decides.
constexpr const char* kUnlimited = "2147483647";
/// Bounds the walk over parent processes. A real chain has no loop, but /proc may hold anything.
constexpr int kMaxAncestors = 64;

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::string mounts_of(const std::string& process) {
    return file_content(fmt::format("/proc/{}/mountinfo", process)).value_or("");
}

/// 0 when there is no parent, or none that is visible.
pid_t parent_of(pid_t process) {
    std::ifstream file(fmt::format("/proc/{}/status", process));
    constexpr std::string_view kKey = "PPid:\t";
    pid_t parent = 0;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(kKey))
            std::from_chars(line.data() + kKey.size(), line.data() + line.size(), parent);
    return parent;
}

/// The number and the path of a mount, from a line of mountinfo.
struct MountLine {
    std::string_view id;
    std::string_view mountpoint;
};

std::string_view take_word(std::string_view& line) {
    const auto word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    return word;
}

MountLine take_mount_line(std::string_view& mountinfo) {
    std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    MountLine mount;
    mount.id = take_word(line);
    for (int skipped = 0; skipped < 3; ++skipped) (void)take_word(line);
    mount.mountpoint = take_word(line);
    return mount;
}

/// The number of the mount that is visible at "/"; "" when the root directory lies within a mount.
std::string_view root_mount(std::string_view mountinfo) {
    std::string_view id;
    while (!mountinfo.empty())
        if (const auto mount = take_mount_line(mountinfo); mount.mountpoint == "/") id = mount.id;
    return id;
}

/// Compares with all ancestors of this process: process 1 may be in another mount namespace.
bool is_in_chroot() {
    const std::string own = mounts_of("self");
    if (has_changed_root(own, mounts_of("1"))) return true;
    pid_t process = ::getppid();
    for (int above = 0; process > 1 && above < kMaxAncestors; ++above) {
        const std::string other = mounts_of(std::to_string(process));
        if (has_changed_root(own, other)) return true;
        process = parent_of(process);
    }
    return false;
}

/// The attempt runs in a child process, because it cannot be undone.
bool can_make_user_namespace() {
    const pid_t child = ::fork();
    if (child < 0) return false;
    if (child == 0) ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    int status = -1;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return false;
    return status == 0;
}

/// The kernel counts both kinds, in every namespace that encloses the new one.
std::string remedy_of_limit() {
    if (first_line(kMaxMounts) == "0")
        return "mount namespaces are switched off: an administrator sets user.max_mnt_namespaces "
               "above 0";
    const bool is_mount = can_make_user_namespace();
    const auto limit = first_line(is_mount ? kMaxMounts : kMaxUsers);
    if (limit == kUnlimited)
        return "the sandbox around this process allows no more of them, as 'bwrap "
               "--disable-userns' does, or too many are inside each other: start it without";
    return fmt::format("too many of them: an administrator raises user.{} above {}",
                       is_mount ? "max_mnt_namespaces" : "max_user_namespaces", limit);
}

std::string remedy_of_denial(std::string_view step, Standing before) {
    if (step == "unshare" && is_in_chroot())
        return "the kernel refuses them in a chroot, as of schroot or pbuilder: start it outside, "
               "or in a container";
    if (step == "/proc/self/uid_map" && before.uid == 0 && !before.has_setfcap)
        return "since Linux 5.12 root needs CAP_SETFCAP for them: start the container with "
               "--cap-add SETFCAP, or as an ordinary user";
    if (first_line("/proc/sys/kernel/unprivileged_userns_clone") == "0")
        return "an administrator allows them with 'sysctl kernel.unprivileged_userns_clone=1'";
    if (first_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1")
        return "AppArmor forbids them: an administrator installs a profile with 'userns,' for this "
               "program, or sets kernel.apparmor_restrict_unprivileged_userns=0";
    return "a seccomp filter or security module forbids it, as container engines do; start the "
           "container with --security-opt seccomp=unconfined, or unprivileged user namespaces "
           "allowed";
}

}  // namespace

Standing own_standing() {
    Standing standing;
    standing.uid = ::geteuid();
    standing.has_setfcap = has_capability(CAP_SETFCAP);
    return standing;
}

std::string namespace_remedy(int code, std::string_view step, Standing before) {
    // Older kernels report other codes for it.
    if (first_line(kMaxUsers) == "0")
        return "they are switched off: an administrator sets user.max_user_namespaces above 0";
    if (code == ENOSPC || code == EUSERS) return remedy_of_limit();
    if (code == EPERM || code == EACCES) return remedy_of_denial(step, before);
    if (code != EINVAL || step != "unshare") return {};
    // A process with several threads cannot enter them. This process begins with one.
    if (::access("/proc/self/ns/user", F_OK) == 0)
        return "this process has several threads: an emulator (qemu-user) or a library in "
               "LD_PRELOAD started them";
    return "the kernel was built without user namespaces";
}

bool has_changed_root(std::string_view own_mountinfo, std::string_view other_mountinfo) {
    if (own_mountinfo.empty()) return false;
    const auto own_root = root_mount(own_mountinfo);
    // The table does not list mounts above the root directory.
    if (own_root.empty()) return true;
    if (own_root == root_mount(other_mountinfo)) return false;
    // A mount number is unique on a machine.
    while (!other_mountinfo.empty())
        if (take_mount_line(other_mountinfo).id == own_root) return true;
    return false;
}

}  // namespace squenv::system
