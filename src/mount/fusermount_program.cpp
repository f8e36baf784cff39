// SPDX-License-Identifier: MIT
#include "mount/fusermount_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "base/environment.h"
#include "base/unique_fd.h"

namespace squenv::mount {

namespace {

constexpr const char* kName = "fusermount3";
constexpr const char* kInstall = "install it with 'apt install fuse3' or 'dnf install fuse3'";
/// The number of a user that this user namespace does not map.
constexpr uid_t kUnmappedUser = 65534;

/// The directories in which distributions install it.
constexpr const char* kSystemDirectories[] = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin",
                                              "/sbin"};
/// NixOS and Guix keep privileged programs in directories of their own. The last ones occur where
/// libfuse was built by hand.
constexpr const char* kOtherDirectories[] = {
    "/run/wrappers/bin",          "/run/privileged/bin", "/run/privileged", "/run/setuid-programs",
    "/run/current-system/sw/bin", "/usr/lib/fuse",       "/usr/local/sbin", "/usr/local/libexec"};

struct Candidate {
    std::string directory;
    std::string path;
    struct stat info {};
};

std::string without_slash(std::string directory) {
    while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
    return directory;
}

/// Each file once, in the order of PATH and then of the lists above.
std::vector<Candidate> candidates() {
    std::vector<std::string> directories;
    std::istringstream given(environment_variable("PATH"));
    for (std::string directory; std::getline(given, directory, ':');)
        if (directory.starts_with('/')) directories.push_back(without_slash(directory));
    for (const char* directory : kSystemDirectories) directories.emplace_back(directory);
    for (const char* directory : kOtherDirectories) directories.emplace_back(directory);
    std::vector<Candidate> found;
    for (const auto& directory : directories) {
        Candidate one;
        one.directory = directory;
        one.path = directory + '/' + kName;
        if (::access(one.path.c_str(), X_OK) != 0 || ::stat(one.path.c_str(), &one.info) != 0 ||
            !S_ISREG(one.info.st_mode))
            continue;
        const bool is_known = std::any_of(found.begin(), found.end(), [&](const Candidate& other) {
            return other.info.st_dev == one.info.st_dev && other.info.st_ino == one.info.st_ino;
        });
        if (!is_known) found.push_back(std::move(one));
    }
    return found;
}

bool is_setuid(const Candidate& one) {
    return (one.info.st_mode & S_ISUID) != 0;
}

/// True for a path of an administrator's installation. Other files must not be made setuid root.
bool is_of_system(const Candidate& one) {
    return one.info.st_uid == 0 &&
           std::find(std::begin(kSystemDirectories), std::end(kSystemDirectories), one.directory) !=
               std::end(kSystemDirectories);
}

bool ignores_setuid(const Candidate& one) {
    struct statvfs disk {};
    return ::statvfs(one.path.c_str(), &disk) == 0 && (disk.f_flag & ST_NOSUID) != 0;
}

/// True in a user namespace that has no root of the system.
bool is_of_unmapped(const Candidate& one) {
    return is_setuid(one) && one.info.st_uid == kUnmappedUser;
}

/// Why a program gives an ordinary user no privilege; "" when it gives some.
std::string lack_of(const Candidate& one) {
    const bool has_capabilities =
        ::getxattr(one.path.c_str(), "security.capability", nullptr, 0) > 0;
    if (!has_capabilities && !is_setuid(one))
        return is_of_system(one) ? "has lost its setuid bit" : "is not setuid root";
    if (!has_capabilities && one.info.st_uid != 0)
        return one.info.st_uid == kUnmappedUser
                   ? "belongs to a user whom this user namespace does not have"
                   : "is setuid, but does not belong to root";
    if (ignores_setuid(one)) return "is on a file system that is mounted nosuid";
    return {};
}

/// True for a script. It may call a privileged program, here or outside of a container.
bool is_script(const Candidate& one) {
    std::ifstream file(one.path);
    std::array<char, 2> start{};
    return file.read(start.data(), 2) && start[0] == '#' && start[1] == '!';
}

/// Whether any program can give this process privilege.
Status check_privilege() {
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return fail(Errc::environment,
                    "this process may not gain privileges (no_new_privs), so fusermount3 cannot "
                    "mount or unmount",
                    "what starts it must allow that: allowPrivilegeEscalation in Kubernetes, no "
                    "no-new-privileges in Docker, NoNewPrivileges=no in systemd");
    if (::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0)
        return fail(Errc::environment,
                    "no program may hold CAP_SYS_ADMIN here (capability bounding set), so "
                    "fusermount3 cannot mount or unmount",
                    "start the container with --cap-add SYS_ADMIN");
    return {};
}

std::string remedy_of(const std::vector<Candidate>& all) {
    for (const auto& one : all)
        if (is_of_system(one) && !is_setuid(one))
            return fmt::format("an administrator runs 'chmod u+s {}'", one.path);
    for (const auto& one : all)
        if (is_setuid(one) && one.info.st_uid == 0 && ignores_setuid(one))
            return "an administrator mounts that file system without nosuid, or installs fuse3 on "
                   "another one";
    for (const auto& one : all)
        if (is_of_unmapped(one))
            return "in a user namespace no fusermount3 works; 'squenv run' and 'squenv shell' "
                   "make a namespace of their own";
    return std::string("an administrator installs fuse3: ") + kInstall;
}

}  // namespace

Result<Fusermount> choose_fusermount() {
    const auto all = candidates();
    if (all.empty())
        return fail(Errc::environment, std::string(kName) + " is not installed", kInstall);
    if (::geteuid() == 0) return Fusermount{all.front().path, "installed", {}};
    const auto may_gain = check_privilege();
    bool is_barred = false;
    const Candidate* script = nullptr;
    std::vector<std::string> passed_over;
    for (const auto& one : all) {
        const auto lack = lack_of(one);
        if (lack.empty() && may_gain) {
            if (script != nullptr) passed_over.push_back(script->path + " is a script");
            return Fusermount{
                one.path, is_setuid(one) ? "installed and setuid" : "installed, with capabilities",
                std::move(passed_over)};
        }
        if (lack.empty())
            is_barred = true;
        else if (script == nullptr && is_script(one))
            script = &one;
        else
            passed_over.push_back(one.path + ' ' + lack);
    }
    if (script != nullptr) return Fusermount{script->path, "a script", std::move(passed_over)};
    if (is_barred) return tl::unexpected(may_gain.error());
    return fail(Errc::environment, fmt::format("{}", fmt::join(passed_over, ", ")), remedy_of(all));
}

Result<std::string> find_fusermount() {
    SQUENV_TRY_ASSIGN(auto chosen, choose_fusermount());
    return std::move(chosen.path);
}

Status check_mtab(const std::string& path) {
    // A regular file is not updated by a modern mount(8), and is a copy at best.
    const auto table = open_file(path, O_RDONLY | O_NONBLOCK);
    struct statfs where {};
    if (table && ::fstatfs(table->get(), &where) == 0 && where.f_type == PROC_SUPER_MAGIC)
        return {};
    struct stat info {};
    const bool is_there = ::lstat(path.c_str(), &info) == 0;  // a dangling symlink cannot be opened
    const std::string reason =
        table ? path + ": does not follow the kernel's mount table" : table.error().message();
    return fail(Errc::environment,
                reason + ", so fusermount3 could not unmount what it has mounted",
                fmt::format("an administrator runs 'ln -s{} /proc/self/mounts {}'",
                            is_there ? "f" : "", path));
}

Status check_fusermount() {
    SQUENV_TRY(find_fusermount());
    if (::getuid() == 0) return {};
    return check_mtab();
}

std::string describe_fusermount() {
    const auto chosen = choose_fusermount();
    if (!chosen) return chosen.error().message();
    std::string text = fmt::format("{}: {}", chosen->path, chosen->finding);
    if (!chosen->passed_over.empty())
        text += "; passed over: " + fmt::format("{}", fmt::join(chosen->passed_over, ", "));
    return text;
}

}  // namespace squenv::mount
