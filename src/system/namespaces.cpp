// SPDX-License-Identifier: MIT
#include "system/namespaces.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "system/capabilities.h"
#include "system/namespace_refusal.h"

namespace squenv::system {

namespace {

Status write_file(const char* path, const std::string& text) {
    SQUENV_TRY_ASSIGN(const auto fd, open_file(path, O_WRONLY));
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail_errno(errno, path);
    return {};
}

bool is_same_file(const struct stat& one, const struct stat& other) {
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// The error for a user namespace that is refused or useless. (Ubuntu's AppArmor lets unshare(2)
/// succeed and refuses what follows.)
tl::unexpected<Error> refusal(int code, const char* step, Standing before) {
    return tl::unexpected(Error{Errc::environment, code, fmt::format("user namespace: {}", step),
                                namespace_remedy(code, step, before)});
}

}  // namespace

Status enter_new_namespaces(Propagation propagation) {
    const Standing before = own_standing();
    const uid_t uid = before.uid;
    const gid_t gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return refusal(errno, "unshare", before);
    // The new credentials made /proc/self root's; the maps are written through it.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    for (const auto& [path, text] : {std::pair{"/proc/self/setgroups", std::string("deny")},
                                     {"/proc/self/uid_map", fmt::format("{} {} 1", uid, uid)},
                                     {"/proc/self/gid_map", fmt::format("{} {} 1", gid, gid)}})
        if (const auto status = write_file(path, text); !status)
            return refusal(status.error().sys_errno, path, before);
    const unsigned long kind = propagation == Propagation::none ? MS_PRIVATE : MS_SLAVE;
    if (::mount("none", "/", nullptr, MS_REC | kind, nullptr) != 0)
        return refusal(errno, "mount propagation", before);
    return {};
}

bool needs_no_user_namespace() {
    return has_capability(CAP_SYS_ADMIN) && has_capability(CAP_SYS_CHROOT);
}

Result<UniqueFd> enter_mount_namespace() {
    if (::unshare(CLONE_NEWNS) != 0) {
        const int code = errno;
        return fail_errno(code, "mount namespace: unshare",
                          namespace_remedy(code, "unshare", own_standing()));
    }
    SQUENV_TRY_ASSIGN(auto root, open_file("/", O_PATH | O_DIRECTORY));
    SQUENV_TRY_ASSIGN(const auto own, open_file("/proc/self/ns/mnt", O_RDONLY));
    // Goes to the root of the namespace. The root of a chroot need not be a mount, and only mounts
    // have a propagation.
    if (::setns(own.get(), CLONE_NEWNS) != 0) return fail_errno(errno, "mount namespace: setns");
    if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
        return fail_errno(errno, "mount namespace: mount propagation");
    struct stat before {};
    struct stat now {};
    if (::fstat(root.get(), &before) != 0 || ::stat("/", &now) != 0)
        return fail_errno(errno, "mount namespace: root directory");
    if (is_same_file(before, now)) return UniqueFd();
    if (::fchdir(root.get()) != 0 || ::chroot(".") != 0)
        return fail_errno(errno, "mount namespace: root directory");
    return root;
}

Status check_single_thread() {
    std::error_code error;
    std::size_t threads = 0;
    for (std::filesystem::directory_iterator at("/proc/self/task", error), end; !error && at != end;
         at.increment(error))
        ++threads;
    if (threads <= 1) return {};
    return fail(Errc::environment,
                fmt::format("this process has {} threads, and only one with a single thread may "
                            "enter a namespace",
                            threads),
                "look for what starts them, such as a library in LD_PRELOAD or an emulator");
}

bool is_initial_user_namespace() {
    std::ifstream map("/proc/self/uid_map");
    std::uint64_t inside = 1;
    std::uint64_t outside = 1;
    std::uint64_t count = 0;
    return static_cast<bool>(map >> inside >> outside >> count) && inside == 0 && outside == 0 &&
           count == 0xFFFFFFFF;
}

Result<Namespaces> own_namespaces() {
    Namespaces own;
    SQUENV_TRY_ASSIGN(own.user, open_file("/proc/self/ns/user", O_RDONLY));
    SQUENV_TRY_ASSIGN(own.mount, open_file("/proc/self/ns/mnt", O_RDONLY));
    return own;
}

bool has_other_user(const Namespaces& namespaces) {
    struct stat theirs {};
    struct stat ours {};
    return ::fstat(namespaces.user.get(), &theirs) != 0 ||
           ::stat("/proc/self/ns/user", &ours) != 0 || !is_same_file(theirs, ours);
}

Status join_namespaces(const Namespaces& namespaces) {
    std::array<char, PATH_MAX> directory;
    const bool has_directory =
        ::getcwd(directory.data(), directory.size()) != nullptr && directory[0] == '/';
    const auto here = open_file(".", O_PATH | O_DIRECTORY);
    // The kernel refuses to let a process join its own user namespace.
    if (has_other_user(namespaces) && ::setns(namespaces.user.get(), CLONE_NEWUSER) != 0)
        return fail_errno(errno, "joining the user namespace");
    if (::setns(namespaces.mount.get(), CLONE_NEWNS) != 0)
        return fail_errno(errno, "joining the mount namespace");
    if (namespaces.root && (::fchdir(namespaces.root.get()) != 0 || ::chroot(".") != 0))
        return fail_errno(errno, "the root directory in the mount namespace");
    // The path comes first: it leads to what is mounted there now. The descriptor still leads back
    // to a directory whose path is covered or passes a closed directory.
    if (has_directory && ::chdir(directory.data()) == 0) return {};
    if (here) (void)!::fchdir(here->get());
    return {};
}

Status drop_all_capabilities() {
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    // The bounding set too: a user whose uid is 0 would gain everything back by exec.
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2]{};
    if (::syscall(SYS_capset, &header, none) != 0) return fail_errno(errno, "capset");
    return {};
}

}  // namespace squenv::system
