// SPDX-License-Identifier: MIT
// The meaning of the messages of fusermount3. They are stable since 2.x.
#include <fmt/core.h>
#include <sys/wait.h>

#include <fstream>
#include <string>

#include "mount/fusermount_program.h"

namespace squenv::mount {

namespace {

/// The first row counts whose patterns both occur.
struct Remedy {
    const char* pattern;
    const char* with;
    const char* advice;
};
constexpr const char* kPolicy = "a security policy (AppArmor, SELinux) keeps fusermount3 from it: ";
constexpr Remedy kRemedies[] = {
    {"failed to open /etc/fuse.conf", "user_allow_other",
     "fusermount3 reads /etc/fuse.conf as you: an administrator runs 'chmod 644 /etc/fuse.conf'"},
    {"user_allow_other", "",
     "leave allow_other out, or an administrator adds 'user_allow_other' to /etc/fuse.conf"},
    {"no write access", "", "mount on a directory that belongs to you"},
    {"not owned by user", "", "mount on a directory that belongs to you"},
    {"failed to access mountpoint", "", "create the directory, and check that you may enter it"},
    {"too many FUSE filesystems", "",
     "unmount some ('squenv list'), or raise mount_max in /etc/fuse.conf"},
    {"over filesystem type", "", "mount on another file system, such as /tmp"},
    {"fuse device not found", "",
     "load it with 'modprobe fuse', or start the container with --device /dev/fuse"},
    {"failed to open /dev/fuse", "", "an administrator can allow it with 'chmod 0666 /dev/fuse'"},
    {"could not determine username", "",
     "your user number has no name: an administrator adds it to /etc/passwd or installs "
     "libnss-unknown; in a container, 'docker run -v /etc/passwd:/etc/passwd:ro'"},
    {"failed to open /etc/mtab", "", "an administrator runs 'ln -s /proc/self/mounts /etc/mtab'"},
    {"failed to open /etc/fuse.conf", "",
     "fusermount3 reads it as you: an administrator runs 'chmod 644 /etc/fuse.conf'"},
};

/// True for a traced process: it gains no privilege, unless the tracer has it.
bool is_traced() {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != line.npos;
    return false;
}

/// For refusals of mount(2) and umount(2): a policy returns EACCES, a lack of privilege EPERM.
std::string remedy_of_refusal(const std::string& reason) {
    const auto mount_at = reason.find("mount failed: ");
    const bool is_mount = mount_at != std::string::npos;
    const auto at = is_mount ? mount_at : reason.find("failed to unmount ");
    if (at == std::string::npos) return {};
    if (reason.find(": Permission denied", at) != std::string::npos)
        return kPolicy +
               std::string(is_mount ? "mount elsewhere, such as in your home directory or /tmp, or "
                                      "an administrator adds the path to its profile"
                                    : "an administrator allows 'umount' in its profile, or "
                                      "unmounts as root");
    if (reason.find(": Operation not permitted", at) == std::string::npos) return {};
    if (is_traced())
        return "a tracer (strace, gdb) keeps fusermount3 from its privilege: run without it";
    return is_mount ? "a container keeps CAP_SYS_ADMIN from it (start it with --cap-add "
                      "SYS_ADMIN), or a security policy forbids it"
                    : "it was mounted in another namespace, or a security policy forbids it: an "
                      "administrator unmounts as root";
}

}  // namespace

std::string fusermount_reason(const system::SubprocessResult& result) {
    if (WIFSIGNALED(result.exit_status))
        return fmt::format("fusermount3 was ended by signal {}", WTERMSIG(result.exit_status));
    if (result.errors.empty()) return "fusermount3 failed";
    std::string text;
    for (const char c : result.errors) {
        if (c == '\n')
            text += "; ";
        else
            text += c;
    }
    return text;
}

std::string fusermount_remedy(const std::string& reason) {
    if (auto advice = remedy_of_refusal(reason); !advice.empty()) return advice;
    for (const auto& row : kRemedies)
        if (reason.find(row.pattern) != std::string::npos &&
            reason.find(row.with) != std::string::npos)
            return row.advice;
    return {};
}

}  // namespace squenv::mount
