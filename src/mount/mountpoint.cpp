// SPDX-License-Identifier: MIT
#include "mount/mountpoint.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "base/paths.h"
#include "mount/live_statistics.h"
#include "mount/unmount.h"
#include "system/mount_table.h"

namespace squenv::mount {

namespace {

constexpr std::array kNeeded{"/",        "/dev",      "/proc",    "/sys",       "/bin",
                             "/sbin",    "/lib",      "/lib32",   "/lib64",     "/usr",
                             "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64"};

/// Half a second in total.
constexpr int kLooks = 50;
constexpr timespec kLookPause{0, 10'000'000};

constexpr const char* kGoAround =
    "'squenv run' without --via goes around it where there are user namespaces";

/// The error for a `path` that cannot be looked at. It names the closed directory on the way, and
/// the user that can open it. The user is a number: name services may start threads.
tl::unexpected<Error> unreachable(int code, const std::string& path) {
    const std::string closed = code == EACCES ? closed_directory(path) : "";
    if (closed.empty()) return fail_errno(code, path);
    std::string hint = "name another path: 'run --force IMAGE:PATH', 'mount IMAGE PATH'";
    // What closes a FUSE mount to other users is no file mode.
    if (!system::is_mountpoint(closed)) hint = permission_remedy(closed, "x") + ", or " + hint;
    return fail_errno(code, fmt::format("{}: {} may not be entered", path, closed), hint);
}

/// The error for a living mount of this program at the path.
tl::unexpected<Error> occupied(const std::string& path, const system::MountEntry& entry) {
    const std::string text = path + ": " + entry.source + " is mounted here already";
    const auto owner = entry.user_id.value_or(::geteuid());
    if (owner == ::geteuid() || ::geteuid() == 0)
        return fail(Errc::exists, text, "unmount it first with 'squenv umount " + path + "'");
    return fail(Errc::exists, fmt::format("{}, by user {}", text, owner), kGoAround);
}

}  // namespace

bool is_stale(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) != 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

// Never waits for a daemon that may be dead. Queries none of another user, unless as root.
Status clear_mountpoint(const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto entry, system::find_mount(path));
    if (!entry || !entry->type.starts_with("fuse")) return {};
    if (entry->is_squenv() && ::geteuid() != 0 && !entry->is_trusted_by(::geteuid()))
        return occupied(path, *entry);
    if (entry->is_squenv()) {
        const auto statistics = query_statistics(path, kQueryTimeout, &*entry);
        // A look at a mount that does not answer would block as well.
        if (!statistics && statistics.error().code == Errc::busy)
            return fail(Errc::busy, path + ": the mount here does not answer",
                        "remove it with 'squenv umount --lazy " + path + "'");
        const bool is_dead =
            !statistics && (statistics.error().sys_errno == ENOTCONN || is_stale(path));
        if (!is_dead) return occupied(path, *entry);
    } else if (!is_stale(path)) {
        return {};
    }
    if (auto status = unmount(path, UnmountMode::lazy); !status)
        return with_context(status.error(), "a dead mount cannot be detached");
    log::info("{}: detached a dead mount of {}", path, entry->source);
    return {};
}

Result<std::string> nearest_directory(const std::string& path) {
    for (std::filesystem::path at = path;; at = at.parent_path()) {
        struct stat info {};
        if (::stat(at.c_str(), &info) == 0) {
            if (S_ISDIR(info.st_mode)) return at.string();
            return fail(Errc::invalid_argument, at.string() + ": not a directory");
        }
        if (errno != ENOENT) return unreachable(errno, path);
        if (at == at.parent_path()) return fail_errno(ENOENT, path);
    }
}

Status check_unoccupied(const std::string& path, std::uint32_t device_minor) {
    SQUENV_TRY_ASSIGN(const auto entries, system::read_mount_table());
    const system::MountEntry* below = nullptr;
    for (const auto& entry : entries) {
        if (entry.mountpoint != path) continue;
        if (device_minor != 0 && entry.device_minor == device_minor) break;
        below = &entry;
    }
    if (below != nullptr && below->is_squenv()) return occupied(path, *below);
    return {};
}

namespace {

/// A path is canonical, so a link there is one that was kept: that of a run to what it unpacked,
/// which goes with the run, or one that leads where this user may not look.
Status check_link(const std::string& path) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(path, error);
    struct stat info {};
    if (error || (::stat(path.c_str(), &info) != 0 && errno == ENOENT)) return {};
    return fail(Errc::exists, path + ": is a link to " + target.string(), kGoAround);
}

}  // namespace

Status check_mountpoint(const std::string& path) {
    SQUENV_TRY(check_link(path));
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        const int code = errno;
        if (code == ENOENT && ::lstat(path.c_str(), &info) == 0)
            return fail(Errc::not_found, path + ": a symlink to what does not exist",
                        "make the directory that it names, or remove it");
        return code == ENOENT ? fail_errno(code, path, "create it with 'mkdir -p " + path + "'")
                              : unreachable(code, path);
    }
    if (!S_ISDIR(info.st_mode))
        return fail(Errc::invalid_argument, path + ": not a directory",
                    "an image is mounted on a directory");
    if (::access(path.c_str(), W_OK) != 0 && ::getuid() != 0)
        return fail_errno(errno, path + ": you cannot write to the mount point",
                          "mount on a directory that belongs to you");
    return {};
}

Status check_place(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::string parent = path.substr(0, path.size() - name.size());
    // Debian keeps the loader's libraries in a directory of the architecture.
    const bool is_multiarch =
        (parent == "/lib/" || parent == "/usr/lib/") && name.find("-linux-") != std::string::npos;
    if (is_multiarch || path.starts_with("/proc/") || path.starts_with("/sys/") ||
        std::find(kNeeded.begin(), kNeeded.end(), path) != kNeeded.end())
        return fail(Errc::invalid_argument, path + ": every program needs what is there",
                    "choose another mount point");
    return {};
}

Status prepare_mountpoint(const std::string& path) {
    SQUENV_TRY(check_place(path));
    auto cleared = clear_mountpoint(path);
    // The mount of a run that has just ended may still be on its way out.
    for (int i = 0; !cleared && cleared.error().code == Errc::exists && i < kLooks; ++i) {
        ::nanosleep(&kLookPause, nullptr);
        if (const auto entry = system::find_mount(path); entry && !*entry)
            cleared = clear_mountpoint(path);
    }
    if (!cleared) return cleared;
    return check_mountpoint(path);
}

}  // namespace squenv::mount
