// SPDX-License-Identifier: MIT
#include "mount/userns_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/unique_fd.h"
#include "system/mount_table.h"

namespace squenv::mount {

namespace {

/// Each entry costs a bind mount of about 20 us.
constexpr std::size_t kMaxEntries = 20'000;
/// The mode of what covers a closed directory: this process can enter the cover.
constexpr mode_t kClosedMode = 0755;

/// Makes the directories of `path` that are missing below `from`.
Status make_missing(const std::string& from, const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return fail_errno(error.value(), path + ": mount point in " + from);
    return {};
}

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

/// The outcome of binding the entries.
struct Tally {
    std::size_t bound = 0;
    int refusal = 0;  ///< why the last entry that was passed over could not be bound, or 0
};

/// The type of an entry; nothing when it has vanished. The root of another user's mount cannot be
/// looked at, but the directory below it names the type.
std::optional<mode_t> type_of(int original, const dirent& entry) {
    struct stat info {};
    if (::fstatat(original, entry.d_name, &info, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
        return info.st_mode & S_IFMT;
    if (errno == ENOENT || entry.d_type == DT_UNKNOWN) return std::nullopt;
    return static_cast<mode_t>(DTTOIF(entry.d_type));
}

Status copy_link(int original, const char* name, const std::string& target) {
    std::string text(PATH_MAX, '\0');
    const ssize_t size = ::readlinkat(original, name, text.data(), text.size());
    if (size < 0) return {};
    text.resize(static_cast<std::size_t>(size));
    if (::symlink(text.c_str(), target.c_str()) != 0) return fail_errno(errno, target);
    return {};
}

/// Puts an entry of `original` into `cover`, which is empty. An entry that cannot be bound, such as
/// the mount point of an automounter, becomes an empty directory. An empty file could be taken for
/// the real one, and is left out.
Status bind_entry(int original, const dirent& entry, const std::string& cover, Tally& tally) {
    const std::string target = cover + '/' + entry.d_name;
    const auto type = type_of(original, entry);
    if (!type) return {};
    if (S_ISLNK(*type)) return copy_link(original, entry.d_name, target);
    if (S_ISDIR(*type)) {
        if (::mkdir(target.c_str(), 0755) != 0) return fail_errno(errno, target);
    } else if (::mknod(target.c_str(), S_IFREG | 0644, 0) != 0) {
        return fail_errno(errno, target);
    }
    const std::string source = fmt::format("/proc/self/fd/{}/{}", original, entry.d_name);
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0) {
        ++tally.bound;
        return {};
    }
    const int code = errno;
    // The machine is the cause, not the entry: without room or permission all others fail as well.
    if (code == ENOMEM || code == ENOSPC || code == EPERM)
        return fail_errno(code, target + ": bind mount");
    tally.refusal = code;
    if (!S_ISDIR(*type)) ::unlink(target.c_str());
    return {};
}

/// The directory under a cover, opened before.
struct Covered {
    int directory = -1;
    std::string left_out{};  ///< the entry that is made anew
};

/// Binds every entry of `original` into `cover`. When `covered` is itself an entry of `original`,
/// its path now leads to the cover.
Status bind_entries(int original, const std::string& cover, const Covered& covered) {
    const int listing = ::openat(original, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (listing < 0)
        return fail_errno(errno, cover + ": its entries cannot be listed",
                          "name another path: IMAGE:PATH, with --force");
    const Directory directory(::fdopendir(listing), &::closedir);
    if (!directory) return fail_errno(errno, cover);
    std::size_t count = 0;
    Tally tally;
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string name = entry->d_name;
        if (name == "." || name == ".." || name == covered.left_out) continue;
        if (++count > kMaxEntries)
            return fail(Errc::limit, fmt::format("more than {} entries beside it", kMaxEntries));
        if (covered.directory == original || cover != '/' + name) {
            SQUENV_TRY(bind_entry(original, *entry, cover, tally));
        } else {
            const std::string target = cover + '/' + name;
            // Not what is mounted on it: that is the cover.
            if (::mkdir(target.c_str(), 0755) != 0 ||
                ::mount(fmt::format("/proc/self/fd/{}", covered.directory).c_str(), target.c_str(),
                        nullptr, MS_BIND, nullptr) != 0)
                return fail_errno(errno, target + ": bind mount");
        }
        errno = 0;  // the end of the listing leaves it, a failure sets it
    }
    if (errno != 0) return fail_errno(errno, cover + ": its entries cannot be listed");
    // A security module that forbids bind mounts must not leave an empty copy.
    if (tally.bound == 0 && tally.refusal == EACCES)
        return fail_errno(tally.refusal, cover + ": bind mounts");
    return {};
}

Status mount_cover(const std::string& on, mode_t mode) {
    const auto options = fmt::format("mode={:o},size=16m,nr_inodes=100k", mode & 0777);
    if (::mount("squenv", on.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
        return fail_errno(errno, on + ": tmpfs");
    return {};
}

Status seal_cover(const std::string& cover) {
    if (::mount(nullptr, cover.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
        return fail_errno(errno, cover + ": remount read-only");
    return {};
}

/// A directory in "/" on which the new root can be assembled. Nothing is mounted below it, so that
/// a bind mount can leave out what is mounted on it.
Result<std::string> assembly_place() {
    SQUENV_TRY_ASSIGN(const auto mounts, system::read_mount_table());
    for (const std::string place : {"/mnt", "/media", "/srv", "/opt", "/tmp", "/home", "/var"}) {
        struct stat info {};
        const bool is_directory = ::lstat(place.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
        if (is_directory && std::none_of(mounts.begin(), mounts.end(), [&](const auto& mount) {
                return mount.mountpoint.starts_with(place + '/');
            }))
            return place;
    }
    return fail(Errc::environment, "/: something is mounted in every directory that could be used");
}

/// The first part of `path` below `directory`, in which it lies.
std::string first_part(const std::string& path, const std::string& directory) {
    const std::size_t begin = directory == "/" ? 1 : directory.size() + 1;
    return path.substr(begin, path.find('/', begin) - begin);
}

/// A mount on "/" is not visible, because paths begin below it. A new root is assembled on another
/// directory, and takes the place of the old one.
Status cover_root(const std::string& path) {
    SQUENV_TRY_ASSIGN(const std::string stage, assembly_place());
    SQUENV_TRY_ASSIGN(const auto original, open_file("/", O_PATH | O_DIRECTORY));
    SQUENV_TRY_ASSIGN(const auto covered, open_file(stage, O_PATH | O_DIRECTORY));
    struct stat info {};
    ::fstat(original.get(), &info);
    SQUENV_TRY(mount_cover(stage, info.st_mode));
    SQUENV_TRY(bind_entries(original.get(), stage, {covered.get(), first_part(path, "/")}));
    SQUENV_TRY(make_missing(stage, stage + path));
    SQUENV_TRY(seal_cover(stage));
    if (::chdir(stage.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
        ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
        return fail_errno(errno, "pivot_root");
    return {};
}

/// The nearest directory that can be covered; a link as the last part is covered with its parent.
struct Coverable {
    std::string path{};
    bool is_closed = false;  ///< nothing in it can be reached
};

Result<Coverable> coverable_directory(const std::string& path) {
    struct stat link {};
    const bool is_link = ::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
    const std::filesystem::path whole(path);
    for (std::filesystem::path at = is_link ? whole.parent_path() : whole;; at = at.parent_path()) {
        struct stat info {};
        if (::stat(at.c_str(), &info) == 0) {
            if (!S_ISDIR(info.st_mode))
                return fail(Errc::invalid_argument, at.string() + ": not a directory");
            return Coverable{at.string(), ::access(at.c_str(), X_OK) != 0};
        }
        const int code = errno;
        const bool is_denied = code == EACCES || code == EPERM;
        if (!is_denied && code != ENOENT) return fail_errno(code, at.string());
        if (is_denied && system::is_mountpoint(at.string())) return Coverable{at.string(), true};
        if (at == at.parent_path()) return fail_errno(code, path);
    }
}

}  // namespace

Status cover_with_mountpoint(const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto place, coverable_directory(path));
    const std::string& cover = place.path;
    if (cover == path) return {};
    if (place.is_closed) {
        SQUENV_TRY(mount_cover(cover, kClosedMode));
        SQUENV_TRY(make_missing(cover, path));
        return seal_cover(cover);
    }
    if (cover == "/") return cover_root(path);
    SQUENV_TRY_ASSIGN(const auto original, open_file(cover, O_PATH | O_DIRECTORY));
    struct stat info {};
    ::fstat(original.get(), &info);
    SQUENV_TRY(mount_cover(cover, info.st_mode));
    SQUENV_TRY(bind_entries(original.get(), cover, {original.get(), first_part(path, cover)}));
    SQUENV_TRY(make_missing(cover, path));
    return seal_cover(cover);
}

}  // namespace squenv::mount
