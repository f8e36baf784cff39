// SPDX-License-Identifier: MIT
#include "versions/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "base/file_lock.h"
#include "base/output_path.h"
#include "base/temporary_name.h"
#include "versions/refusal.h"

namespace squenv::versions {

namespace {

constexpr std::chrono::seconds kLockPatience{60};
constexpr timespec kLockPause{0, 5'000'000};
/// Without locks: what is this old has lost its process.
constexpr time_t kAbandonedSeconds = 600;

constexpr mode_t kGroupWrite = 0020;
constexpr mode_t kGroupAll = 0070;

/// Those who may write in the directory may write the file; those who may read the image read it.
mode_t shared_mode(const Place& place) {
    struct stat directory {};
    struct stat image {};
    mode_t mode = 0600;
    if (::stat(place.directory.c_str(), &directory) == 0)
        mode |= (directory.st_mode & 0022U) | (directory.st_mode & 0022U) << 1;
    // An image that is not there yet gets the rights that the umask leaves.
    if (::stat(place.image.c_str(), &image) != 0) image.st_mode = ~process_umask().value_or(077U);
    return mode | (image.st_mode & 0044U);
}

Result<bool> lock(int file, const std::string& path) {
    const auto end = std::chrono::steady_clock::now() + kLockPatience;
    for (;;) {
        switch (lock_file(file, LOCK_EX | LOCK_NB)) {
            case Locking::held: return true;
            case Locking::impossible: return false;
            case Locking::busy: break;
        }
        if (std::chrono::steady_clock::now() > end)
            return fail(Errc::busy, path + ": another process has held this lock for a minute",
                        "try again when it has ended; 'fuser' names it");
        ::nanosleep(&kLockPause, nullptr);
    }
}

/// A new file at `made` with the rights of those who may use the directory. Errors are those of
/// the file `path`, for which it is made.
Result<UniqueFd> make_shared_file(const Place& place, const std::string& made,
                                  const std::string& path, int flags) {
    auto file = open_file(made, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
    if (!file) return refused(file.error().sys_errno, path);
    struct stat directory {};
    struct stat own {};
    mode_t mode = shared_mode(place);
    const bool is_of_group = ::stat(place.directory.c_str(), &directory) == 0 &&
                             ::fstat(file->get(), &own) == 0 &&
                             (own.st_gid == directory.st_gid ||
                              ::fchown(file->get(), static_cast<uid_t>(-1), directory.st_gid) == 0);
    if (!is_of_group) mode &= ~kGroupWrite;
    (void)::fchmod(file->get(), mode);
    return file;
}

/// Renames without replacing, in one step. Returns 0 or an errno: EEXIST when there is a file of
/// that name, EOPNOTSUPP when the file system has no way to do so.
int rename_exclusively(const std::string& from, const std::string& to) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // Not every file system knows the flag; a link does not replace, either.
    if (::link(from.c_str(), to.c_str()) == 0) {
        ::unlink(from.c_str());
        return 0;
    }
    return errno == EEXIST || errno == ENOENT ? errno : EOPNOTSUPP;
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) return names;
    while (const dirent* entry = ::readdir(directory.get())) names.emplace_back(entry->d_name);
    return names;
}

bool is_abandoned(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && info.st_ctime + kAbandonedSeconds < ::time(nullptr);
}

}  // namespace

Result<bool> make_directory(const Place& place) {
    if (place.is_directory()) return false;
    const std::string parent = output_directory(place.image);
    struct stat above {};
    if (::stat(parent.c_str(), &above) != 0) return refused(errno, parent);
    // Under its name it is open to others from the first moment.
    const std::string unnamed = unique_name(place.directory + '.');
    if (::mkdir(unnamed.c_str(), 0700) != 0) return refused(errno, place.directory);
    mode_t mode = above.st_mode & 02777U;
    // In a directory for all, a user's files are the user's own.
    if ((above.st_mode & S_ISVTX) != 0) mode &= ~mode_t{02022};
    struct stat made {};
    const bool is_of_group = ::stat(unnamed.c_str(), &made) == 0 &&
                             (made.st_gid == above.st_gid ||
                              ::chown(unnamed.c_str(), static_cast<uid_t>(-1), above.st_gid) == 0);
    // Those of another group may do what all may.
    if (!is_of_group) mode = (mode & ~kGroupAll) | (mode & 07U) << 3;
    (void)::chmod(unnamed.c_str(), mode);
    // An empty one that another process has just made may be replaced: it is used by name.
    if (::rename(unnamed.c_str(), place.directory.c_str()) == 0) return true;
    const int error = errno;
    ::rmdir(unnamed.c_str());
    if (place.is_directory()) return false;
    return refused(error, place.directory);
}

Result<UniqueFd> open_shared(const Place& place, const std::string& path, int flags) {
    for (;;) {
        auto there = open_regular_file(path, O_RDWR | flags);
        if (there || there.error().sys_errno == 0) return there;
        if (there.error().sys_errno != ENOENT) return refused(there.error().sys_errno, path);
        // Under its name it is open to others from the first moment.
        const std::string unnamed = unique_name(place.directory + '/' + std::string(kUnnamed));
        const TemporaryName guard(unnamed);
        SQUENV_TRY_ASSIGN(auto made, make_shared_file(place, unnamed, path, flags));
        int error = rename_exclusively(unnamed, path);
        if (error == EOPNOTSUPP) {
            ::unlink(unnamed.c_str());
            auto named = make_shared_file(place, path, path, flags);
            if (named || named.error().sys_errno != EEXIST) return named;
            error = EEXIST;
        }
        if (error == 0) return made;
        ::unlink(unnamed.c_str());
        // ENOENT: it was removed as one that a killed process had left.
        if (error != EEXIST && error != ENOENT) return refused(error, path);
    }
}

int rename_new(const std::string& from, const std::string& to) {
    const int error = rename_exclusively(from, to);
    if (error != EOPNOTSUPP) return error;
    struct stat info {};
    if (::lstat(to.c_str(), &info) == 0) return EEXIST;
    return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

Store::Store(Snapshot found, UniqueFd lock, UniqueFd log, bool is_locked)
    : found_(std::move(found)),
      lock_(std::move(lock)),
      log_(std::move(log)),
      is_locked_(is_locked) {
}

Result<Store> Store::open(const Place& place, Purpose purpose) {
    // To make room must be possible where not even a line fits.
    const auto may_lack = [&](const Error& error) {
        return purpose == Purpose::make_room && error.code == Errc::limit;
    };
    const auto open_file_of = [&](const std::string& path, int flags) -> Result<UniqueFd> {
        auto file = open_shared(place, path, flags);
        if (!file && may_lack(file.error())) return UniqueFd();
        return file;
    };
    SQUENV_TRY_ASSIGN(UniqueFd lock_file, open_file_of(place.lock(), 0));
    bool is_locked = false;
    if (lock_file) {
        SQUENV_TRY_ASSIGN(is_locked, lock(lock_file.get(), place.lock()));
    }
    SQUENV_TRY_ASSIGN(UniqueFd log, open_file_of(place.log(), O_APPEND));
    SQUENV_TRY_ASSIGN(Snapshot found, take_snapshot(place));
    Store store(std::move(found), std::move(lock_file), std::move(log), is_locked);
    SQUENV_TRY(store.repair());
    if (!store.log_) return store;
    const auto status = store.log_unknown();
    if (!status && !may_lack(status.error())) return tl::unexpected(status.error());
    return store;
}

Status Store::append(const std::string& line) {
    return append_line(log_.get(), found_.place.log(), line);
}

Status Store::look() {
    SQUENV_TRY_ASSIGN(found_, take_snapshot(found_.place));
    return {};
}

/// Puts in order what a process that was killed left in the middle of its work.
Status Store::repair() {
    const Place& place = found_.place;
    bool has_swept = false;
    for (const std::string& name : names_in(place.directory)) {
        const auto incoming = number_of_name(name, kIncomingSuffix);
        const auto copy = number_of_name(name, kCopySuffix);
        const std::string path = place.directory + '/' + name;
        const bool is_second = name.starts_with(kSecondName);
        const bool is_unnamed = name.starts_with(kUnnamed);
        if (!incoming && !copy && !is_second && !is_unnamed) continue;
        // The lock itself is made without one.
        if ((!is_locked_ || is_unnamed) && !is_abandoned(path)) continue;
        has_swept = true;
        if (copy || is_second || is_unnamed) ::unlink(path.c_str());
        if (incoming) sweep_incoming(*incoming);
    }
    return has_swept ? look() : Status();
}

/// The file is either a new version that never became current, or the one that a new one replaced.
void Store::sweep_incoming(std::uint64_t number) {
    const Place& place = found_.place;
    const std::string path = place.file(number, kIncomingSuffix);
    const auto displaced = found_.displaced_number(number);
    if (!displaced || is_same_content(path, place.file(*displaced))) {
        ::unlink(path.c_str());
        return;
    }
    std::uint64_t old = *displaced;
    while (rename_new(path, place.file(old)) == EEXIST) old = std::max(old + 1, found_.next());
}

/// Every version has a line. Without locks an incoming file may be that of a process at work: which
/// number it gets is not known yet.
Status Store::log_unknown() {
    std::vector<std::uint64_t> numbers;
    for (const auto& [number, file] : found_.kept)
        if (is_locked_ || file.path == found_.place.file(number)) numbers.push_back(number);
    if (found_.image && !found_.kept.contains(found_.current)) numbers.push_back(found_.current);
    for (const std::uint64_t number : numbers) {
        const bool is_image = found_.image && number == found_.current;
        const FileIdentity& file = is_image ? *found_.image : found_.kept.at(number).identity;
        const Entry* logged = found_.log.of(number);
        if (logged != nullptr && logged->size_bytes == file.size_bytes &&
            logged->mtime_ns == file.mtime_ns)
            continue;
        const Entry entry = found_.entry(number);
        SQUENV_TRY(append(line_of(entry)));
        found_.log.entries.push_back(entry);
    }
    return {};
}

}  // namespace squenv::versions
