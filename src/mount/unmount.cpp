// SPDX-License-Identifier: MIT
#include "mount/unmount.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"
#include "mount/fusermount_program.h"
#include "mount/kernel_mount.h"
#include "system/mount_table.h"
#include "system/subprocess.h"

namespace squenv::mount {

namespace {

/// A batch system sends its signal to every process of a job; fusermount3 may be one of them.
constexpr int kFusermountAttempts = 3;

Status unmount_by_fusermount(const std::string& mountpoint, UnmountMode mode) {
    SQUENV_TRY_ASSIGN(const auto program, find_fusermount());
    std::vector<std::string> arguments{program, "-u"};
    if (mode == UnmountMode::lazy) arguments.emplace_back("-z");
    arguments.insert(arguments.end(), {"--", mountpoint});
    system::SubprocessResult result;
    for (int attempt = 0; attempt < kFusermountAttempts; ++attempt) {
        SQUENV_TRY_ASSIGN(result, system::run_subprocess(arguments, {}, -1));
        if (!WIFSIGNALED(result.exit_status)) break;
    }
    if (result.is_success()) return {};
    const std::string reason = fusermount_reason(result);
    if (reason.find(": Device or resource busy") != std::string::npos)
        return fail_errno(EBUSY, mountpoint);
    if (reason.find("not found in") != std::string::npos) {
        SQUENV_TRY(check_mtab());  // with another table, it may be mounted all the same
        return fail(Errc::not_found, mountpoint + ": not mounted by you");
    }
    return fail(Errc::denied, mountpoint + ": " + reason, fusermount_remedy(reason));
}

std::optional<std::string> link_target(const std::string& path) {
    char target[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size < 0) return std::nullopt;
    return std::string(target, static_cast<std::size_t>(size));
}

bool is_below(const std::string& path, const std::string& mountpoint) {
    return path == mountpoint || (path.starts_with(mountpoint) && path[mountpoint.size()] == '/');
}

/// The names in a directory of /proc. Processes come and go, so an error means "none".
std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) return names;
    while (const dirent* entry = ::readdir(directory.get()))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    return names;
}

/// The mounts of this namespace by their mount_id: whether each is at `mountpoint` or below.
std::map<std::uint32_t, bool> mounts_by_id(const std::string& mountpoint) {
    std::map<std::uint32_t, bool> mounts;
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);)
        if (const auto entry = system::parse_mountinfo_line(line))
            mounts[entry->mount_id] = is_below(entry->mountpoint, mountpoint);
    return mounts;
}

/// The mount_id of the mount that a link of /proc leads into. O_PATH sends nothing to its daemon.
std::optional<std::uint32_t> mount_id_behind(const std::string& link) {
    const UniqueFd fd(::open(link.c_str(), O_PATH | O_CLOEXEC));
    return fd ? system::mount_id_of(fd.get()) : std::nullopt;
}

/// What is below the path of a mount can be what the mount covers: the directory that its daemon
/// keeps open, and the directory that a shell was in before.
std::optional<std::string> how_it_holds(const std::string& process, const std::string& mountpoint,
                                        const std::map<std::uint32_t, bool>& mounts) {
    const auto points_below = [&](const std::string& link) {
        const auto target = link_target(process + link);
        if (!target || !is_below(*target, mountpoint)) return false;
        const auto id = mount_id_behind(process + link);
        const auto mount = id ? mounts.find(*id) : mounts.end();
        return mount == mounts.end() || mount->second;
    };
    if (points_below("/cwd")) return "current directory";
    if (points_below("/root")) return "root directory";
    if (points_below("/exe")) return "program";
    for (const auto& fd : names_in(process + "/fd"))
        if (points_below("/fd/" + fd)) return "open file";
    std::ifstream maps(process + "/maps");
    for (std::string line; std::getline(maps, line);) {
        const auto path = line.find('/');
        if (path != std::string::npos && is_below(line.substr(path), mountpoint))
            return "mapped file";
    }
    return std::nullopt;
}

std::string command_of(const std::string& process) {
    std::ifstream file(process + "/cmdline");
    std::string text(80, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    while (!text.empty() && text.back() == '\0') text.pop_back();
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
    return text;
}

}  // namespace

Status unmount(const std::string& mountpoint, UnmountMode mode) {
    if (may_mount_directly()) {
        const int flags = UMOUNT_NOFOLLOW | (mode == UnmountMode::lazy ? MNT_DETACH : 0);
        // An overlay goes before the mount that it is above, and the empty layer after it.
        const auto entry = system::find_mount(mountpoint);
        int mounts = entry && *entry && (*entry)->overlay_minor != 0 ? 2 : 1;
        while (mounts != 0 && ::umount2(mountpoint.c_str(), flags) == 0) --mounts;
        if (mounts == 0) {
            const auto layer = system::find_mount(mountpoint);
            if (layer && *layer && (*layer)->source == system::kOverlaySource)
                (void)::umount2(mountpoint.c_str(), flags);
            return {};
        }
        if (errno == EINVAL) return fail(Errc::not_found, mountpoint + ": not mounted");
        if (errno != EPERM) return fail_errno(errno, mountpoint);
    }
    return unmount_by_fusermount(mountpoint, mode);
}

std::vector<Holder> find_holders(const std::string& mountpoint) {
    std::vector<Holder> holders;
    const auto mounts = mounts_by_id(mountpoint);
    for (const auto& name : names_in("/proc")) {
        pid_t pid = 0;
        const char* end = name.data() + name.size();
        if (std::from_chars(name.data(), end, pid).ptr != end || pid == ::getpid()) continue;
        const std::string process = "/proc/" + name;
        if (const auto how = how_it_holds(process, mountpoint, mounts))
            holders.push_back({pid, command_of(process), *how});
    }
    return holders;
}

}  // namespace squenv::mount
