// SPDX-License-Identifier: MIT
#include "mount/private_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <memory>

#include "base/unique_fd.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"

namespace squenv::mount {

namespace {

/// Every entry costs a bind mount of about 20 us.
constexpr std::size_t kMaxEntries = 20'000;

/// Makes the directories of `path` that are missing below `from`.
Status make_missing(const std::string& from, const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return fail_errno(error.value(), path + ": mount point in " + from);
    return {};
}

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

/// Puts an entry of `original` into `cover`, which is empty.
Status bind_entry(int original, const dirent& entry, const std::string& cover) {
    const std::string target = cover + '/' + entry.d_name;
    struct stat info {};
    if (::fstatat(original, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return {};  // vanished
    if (S_ISLNK(info.st_mode)) {
        std::string text(PATH_MAX, '\0');
        const ssize_t size = ::readlinkat(original, entry.d_name, text.data(), text.size());
        if (size < 0) return {};
        text.resize(static_cast<std::size_t>(size));
        if (::symlink(text.c_str(), target.c_str()) != 0) return fail_errno(errno, target);
        return {};
    }
    if (S_ISDIR(info.st_mode)) {
        if (::mkdir(target.c_str(), 0755) != 0) return fail_errno(errno, target);
    } else if (::mknod(target.c_str(), S_IFREG | 0644, 0) != 0) {
        return fail_errno(errno, target);
    }
    const std::string source = fmt::format("/proc/self/fd/{}/{}", original, entry.d_name);
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
        return fail_errno(errno, target + ": bind mount");
    return {};
}

/// Binds every entry of `original` into `cover`. `covered` is the directory under the cover, open
/// from before: when it is itself an entry of `original`, its path now leads to the cover.
Status bind_entries(int original, const std::string& cover, int covered) {
    const int listing = ::openat(original, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (listing < 0) return fail_errno(errno, cover + ": its entries cannot be listed");
    const Directory directory(::fdopendir(listing), &::closedir);
    std::size_t count = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (++count > kMaxEntries)
            return fail(Errc::limit, fmt::format("more than {} entries beside it", kMaxEntries));
        if (covered == original || cover != '/' + name) {
            SQUENV_TRY(bind_entry(original, *entry, cover));
            continue;
        }
        const std::string target = cover + '/' + name;
        // Not what is mounted on it: that is the cover.
        if (::mkdir(target.c_str(), 0755) != 0 ||
            ::mount(fmt::format("/proc/self/fd/{}", covered).c_str(), target.c_str(), nullptr,
                    MS_BIND, nullptr) != 0)
            return fail_errno(errno, target + ": bind mount");
    }
    return {};
}

Status mount_cover(const std::string& on, const struct stat& like) {
    const auto options = fmt::format("mode={:o},size=16m,nr_inodes=100k", like.st_mode & 0777);
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

/// A directory in "/" that the new root can be assembled on: nothing is mounted below it, so that
/// it can be bound without what is mounted on it.
Result<std::string> assembly_place() {
    SQUENV_TRY_ASSIGN(const auto mounts, read_mount_table());
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

/// A mount on "/" would not be seen, because paths begin below it: a new root is assembled on some
/// other directory, and takes the place of the old one.
Status cover_root(const std::string& path) {
    SQUENV_TRY_ASSIGN(const std::string stage, assembly_place());
    SQUENV_TRY_ASSIGN(const auto original, open_file("/", O_PATH | O_DIRECTORY));
    SQUENV_TRY_ASSIGN(const auto covered, open_file(stage, O_PATH | O_DIRECTORY));
    struct stat info {};
    ::fstat(original.get(), &info);
    SQUENV_TRY(mount_cover(stage, info));
    SQUENV_TRY(bind_entries(original.get(), stage, covered.get()));
    SQUENV_TRY(make_missing(stage, stage + path));
    SQUENV_TRY(seal_cover(stage));
    if (::chdir(stage.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
        ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
        return fail_errno(errno, "pivot_root");
    return {};
}

}  // namespace

Status cover_with_mountpoint(const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto existing, nearest_directory(path));
    if (existing == path) return {};
    if (existing == "/") return cover_root(path);
    SQUENV_TRY_ASSIGN(const auto original, open_file(existing, O_PATH | O_DIRECTORY));
    struct stat info {};
    ::fstat(original.get(), &info);
    SQUENV_TRY(mount_cover(existing, info));
    SQUENV_TRY(bind_entries(original.get(), existing, original.get()));
    SQUENV_TRY(make_missing(existing, path));
    return seal_cover(existing);
}

}  // namespace squenv::mount
