// SPDX-License-Identifier: MIT
#include "mount/connection.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "base/unique_fd.h"
#include "mount/kernel_mount.h"
#include "system/namespaces.h"

namespace squenv::mount {

namespace {

constexpr const char* kConnections = "/sys/fs/fuse/connections";

std::string directory_of(std::uint32_t device_minor) {
    return fmt::format("{}/{}", kConnections, device_minor);
}

/// Returns an errno value, 0 for success.
int write_abort(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return errno;
    return ::write(file.get(), "1", 1) == 1 ? 0 : errno;
}

/// Runs in a child process with its own mount namespace. Returns an errno value.
int abort_by_own_fusectl(const std::string& path) {
    const pid_t child = ::fork();
    if (child < 0) return errno;
    if (child == 0) {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("none", kConnections, "fusectl", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) !=
                0)
            ::_exit(errno);
        const int result = write_abort(path);
        ::_exit(result == ENOENT ? 0 : result);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/// Whether fusectl is mounted. It lists the connections of all users.
bool has_fusectl() {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);)
        if (line.find(std::string(" ") + kConnections + " fusectl ") != std::string::npos)
            return true;
    return false;
}

}  // namespace

std::uint32_t connection_of(int device) {
    std::ifstream info(fmt::format("/proc/self/fdinfo/{}", device));
    std::string word;
    std::uint32_t number = 0;
    while (info >> word)
        if (word == "fuse_connection:" && info >> number) return number;
    return 0;
}

std::string daemon_name(std::uint32_t device_minor, uid_t user) {
    return fmt::format("squenv/{}/mount/{}", user, device_minor);
}

Status abort_connection(std::uint32_t device_minor) {
    const std::string path = directory_of(device_minor) + "/abort";
    int code = write_abort(path);
    if (code == 0) return {};
    if (code == ENOENT && has_fusectl()) return {};  // the connection has ended
    if (may_mount_directly() && system::is_initial_user_namespace())
        code = abort_by_own_fusectl(path);
    if (code == 0) return {};
    if (code == EACCES) return fail_errno(code, path, "the connection belongs to another user");
    return tl::unexpected(Error{Errc::environment, code, path,
                                fmt::format("an administrator ends it with 'mount -t fusectl none "
                                            "{}; echo 1 > {}'",
                                            kConnections, path)});
}

bool can_abort(std::uint32_t device_minor) {
    if (::access((directory_of(device_minor) + "/abort").c_str(), W_OK) == 0) return true;
    return may_mount_directly() && system::is_initial_user_namespace() &&
           ::access(kConnections, F_OK) == 0;
}

}  // namespace squenv::mount
