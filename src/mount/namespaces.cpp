// SPDX-License-Identifier: MIT
#include "mount/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string>

#include "mount/namespace_refusal.h"

namespace squenv::mount {

namespace {

Status write_file(const char* path, const std::string& text) {
    SQUENV_TRY_ASSIGN(const auto fd, open_file(path, O_WRONLY));
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail_errno(errno, path);
    return {};
}

/// A user namespace cannot be had or is of no use. (Ubuntu's AppArmor lets unshare(2) succeed and
/// refuses what follows.)
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

Result<Namespaces> own_namespaces() {
    Namespaces own;
    SQUENV_TRY_ASSIGN(own.user, open_file("/proc/self/ns/user", O_RDONLY));
    SQUENV_TRY_ASSIGN(own.mount, open_file("/proc/self/ns/mnt", O_RDONLY));
    return own;
}

Status join_namespaces(const Namespaces& namespaces) {
    std::array<char, PATH_MAX> directory;
    const bool has_directory = ::getcwd(directory.data(), directory.size()) != nullptr &&
                               directory[0] == '/';
    if (::setns(namespaces.user.get(), CLONE_NEWUSER) != 0)
        return fail_errno(errno, "joining the user namespace");
    if (::setns(namespaces.mount.get(), CLONE_NEWNS) != 0)
        return fail_errno(errno, "joining the mount namespace");
    if (has_directory && ::chdir(directory.data()) != 0)
        return fail_errno(errno, std::string(directory.data()) + ": working directory");
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

}  // namespace squenv::mount
