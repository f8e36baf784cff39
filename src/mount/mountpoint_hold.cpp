// SPDX-License-Identifier: MIT
#include "mount/mountpoint_hold.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "mount/mountpoint.h"
#include "system/mount_table.h"

namespace squenv::mount {

namespace {

/// Between attempts while another process removes the directory.
constexpr timespec kPause{0, 1'000'000};
constexpr int kHoldAttempts = 1000;
/// The longest wait for the mount point of an attempt: it takes 70 ms on a busy machine.
constexpr int kAttemptPauses = 500;
/// The number of looks that must find a directory free before it counts as free. Between the hold
/// and the removal there is a moment without any lock.
constexpr int kFreeLooks = 3;
/// Between looks at a mount of another process.
constexpr timespec kMountPause{0, 20'000'000};
/// Between looks at all namespaces, where directories cannot be locked.
constexpr timespec kNamespacePause{1, 0};

/// This user can use it, whatever the umask is. False with errno when it cannot be made.
bool make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0) return false;
    struct stat made {};
    if (::lstat(path.c_str(), &made) == 0 && (made.st_mode & S_IRWXU) != S_IRWXU)
        (void)::chmod(path.c_str(), (made.st_mode & 07777U) | S_IRWXU);
    return true;
}

Status make_missing(const std::string& path, std::vector<std::string>& created) {
    SQUENV_TRY_ASSIGN(const auto existing, nearest_directory(path));
    if (existing == path) return {};
    std::filesystem::path at = existing;
    for (const auto& part : std::filesystem::path(path).lexically_relative(existing)) {
        at /= part;
        if (make_directory(at.string()))
            created.push_back(at.string());
        else if (errno != EEXIST)
            return fail_errno(errno, at.string() + ": the mount point cannot be made");
    }
    return {};
}

enum class Locking { held, impossible, removed };

Locking lock_shared(const std::string& path, UniqueFd& lock) {
    auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!directory)
        return directory.error().sys_errno == ENOENT ? Locking::removed : Locking::impossible;
    if (::flock(directory->get(), LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? Locking::removed : Locking::impossible;
    struct stat locked {};
    struct stat named {};
    if (::fstat(directory->get(), &locked) != 0 || ::stat(path.c_str(), &named) != 0 ||
        locked.st_ino != named.st_ino)
        return Locking::removed;
    lock = std::move(*directory);
    return Locking::held;
}

/// Whether something is mounted on `path` in the mount namespace of any process of this user.
bool is_mounted_anywhere(const std::string& path) {
    namespace fs = std::filesystem;
    std::set<std::string> seen;
    std::error_code error;
    for (const auto& process : fs::directory_iterator("/proc", error)) {
        std::error_code unknown;
        const auto space = fs::read_symlink(process.path() / "ns/mnt", unknown).string();
        if (unknown || !seen.insert(space).second) continue;
        std::ifstream table(process.path() / "mountinfo");
        for (std::string line; std::getline(table, line);)
            if (const auto entry = system::parse_mountinfo_line(line);
                entry && entry->mountpoint == path)
                return true;
    }
    return false;
}

/// Returns when no process holds `path`. The wait has no limit.
void wait_until_free(int directory, const std::string& path) {
    int result = 0;
    do {
        result = ::flock(directory, LOCK_EX);
    } while (result != 0 && errno == EINTR);
    // Without locks only mounts are visible, not processes that are about to mount.
    while (result != 0 && is_mounted_anywhere(path)) ::nanosleep(&kNamespacePause, nullptr);
}

/// Returns 0, or why the innermost directory is still there.
int remove_created(const std::vector<std::string>& created) {
    if (created.empty()) return 0;
    const auto directory = open_file(created.back(), O_RDONLY | O_DIRECTORY);
    if (!directory) return directory.error().sys_errno;
    wait_until_free(directory->get(), created.back());
    const int error = ::rmdir(created.back().c_str()) == 0 ? 0 : errno;
    for (auto path = std::next(created.rbegin()); path != created.rend(); ++path)
        ::rmdir(path->c_str());
    return error;
}

}  // namespace

Result<MountpointHold> hold_mountpoint(const std::string& path) {
    MountpointHold hold;
    for (int attempt = 0; attempt < kHoldAttempts; ++attempt) {
        const auto made = make_missing(path, hold.created);
        // Another process may have removed a parent that it had made.
        if (!made && made.error().sys_errno != ENOENT) {
            for (auto at = hold.created.rbegin(); at != hold.created.rend(); ++at)
                ::rmdir(at->c_str());
            return tl::unexpected(made.error());
        }
        if (made && lock_shared(path, hold.lock) != Locking::removed) return hold;
        ::nanosleep(&kPause, nullptr);
    }
    return fail(Errc::busy, path + ": another process keeps removing the mount point",
                "make the directory yourself");
}

void await_mountpoint(const std::string& path) {
    int free_looks = 0;
    for (int pause = 0; pause < kAttemptPauses && free_looks < kFreeLooks; ++pause) {
        const auto directory = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!directory) return;
        const bool is_held =
            ::flock(directory->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        free_looks = is_held ? 0 : free_looks + 1;
        ::flock(directory->get(), LOCK_UN);
        ::nanosleep(&kPause, nullptr);
    }
}

void remove_mountpoint(const std::vector<std::string>& created) {
    (void)remove_created(created);
}

void remove_mountpoint_at_last(const std::vector<std::string>& created) {
    do {
        while (!created.empty() && system::is_mountpoint(created.back()))
            ::nanosleep(&kMountPause, nullptr);
    } while (remove_created(created) == EBUSY);
}

}  // namespace squenv::mount
