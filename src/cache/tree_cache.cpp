// SPDX-License-Identifier: MIT
#include "cache/tree_cache.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "base/file_lock.h"
#include "base/units.h"
#include "cache/cache_directory.h"
#include "cache/entry.h"
#include "cache/survey.h"
#include "cache/tree_name.h"
#include "extract/extract.h"
#include "image/walk.h"

namespace squenv::cache {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLockSuffix = ".lock";

/// How long the keeper of a tree may take to notice that its last user has ended.
constexpr std::chrono::milliseconds kKeeperTime{1000};
/// The number of attempts at a cache directory that other processes remove.
constexpr int kDirectoryAttempts = 100;

/// The right to unpack a tree: its lock file, open, which the owner removes. Without locks several
/// processes get it, and each unpacks for itself; the first to finish wins. Empty when another
/// process had it before, and has unpacked the tree by now, or failed.
/// Errors: denied, limit, io.
Result<UniqueFd> take_turn(const std::string& lock_path) {
    for (;;) {
        SQUENV_TRY_ASSIGN(auto fd, open_file(lock_path, O_RDWR | O_CREAT, 0600));
        if (lock_file(fd.get(), LOCK_EX | LOCK_NB) == Locking::busy) {
            lock_file(fd.get(), LOCK_EX);
            return UniqueFd();
        }
        if (is_named(fd.get(), lock_path)) return fd;
    }
}

/// The tree at `path` if it is complete, locked for this process.
std::optional<CachedTree> use_entry(const std::string& path) {
    auto entry = hold_entry(path);
    if (!entry) return std::nullopt;
    const auto record = read_record(path);
    if (!record || record->fingerprint.empty()) return std::nullopt;
    const auto survey = survey_tree(tree_in(path));
    if (!survey || survey->fingerprint() != record->fingerprint) return std::nullopt;
    renew_use(entry->directory.get());
    return CachedTree{tree_in(path), path, std::move(entry->directory), false};
}

/// The size of an entry without a record is that on disk.
CacheEntry describe(const std::string& directory, const std::string& name) {
    CacheEntry entry{name, {}, 0, 0, false};
    const std::string path = directory + '/' + name;
    if (auto record = read_record(path)) {
        entry.image = std::move(record->image);
        entry.size_bytes = record->size_bytes;
        entry.last_used = record->last_used;
        return entry;
    }
    if (const auto survey = survey_tree(path)) entry.size_bytes = survey->bytes;
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) entry.last_used = info.st_mtim.tv_sec;
    return entry;
}

/// Entries and partial entries, most recently used first. Other files in the directory are left
/// out: the user may have named one that has content.
std::vector<CacheEntry> entries_in(const std::string& directory) {
    std::vector<CacheEntry> entries;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(directory, error)) {
        const std::string name = file.path().filename().string();
        std::error_code unknown;
        if ((is_tree_name(name) || is_partial_name(name)) &&
            file.symlink_status(unknown).type() == fs::file_type::directory)
            entries.push_back(describe(directory, name));
    }
    std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
        return a.last_used != b.last_used ? a.last_used > b.last_used : a.name < b.name;
    });
    return entries;
}

bool remove_any(const std::string& directory, const std::string& name) {
    return is_partial_name(name) ? remove_partial_entry(directory + '/' + name)
                                 : remove_entry(directory, name);
}

/// The space on the disk for this user; nothing when it is not known.
std::optional<std::uint64_t> available_bytes(const std::string& directory) {
    struct statvfs disk {};
    if (::statvfs(directory.c_str(), &disk) != 0) return std::nullopt;
    return static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
}

tl::unexpected<Error> no_room_in_cache(const std::string& directory, std::uint64_t needed,
                                       std::uint64_t limit) {
    return fail(Errc::limit,
                fmt::format("{}: unpacked it takes {}, the cache holds {}", directory,
                            format_size(needed), format_size(limit)),
                "set SQUENV_CACHE_SIZE to more");
}

tl::unexpected<Error> no_room_on_disk(const std::string& directory, std::uint64_t needed,
                                      std::uint64_t available) {
    return fail(Errc::limit,
                fmt::format("{}: unpacked it takes {}, the disk has {}", directory,
                            format_size(needed), format_size(available)),
                "name a directory with more room in SQUENV_CACHE");
}

/// What an attempt to make room has come to.
struct Room {
    Status status{};
    bool may_come = false;  ///< there would be room without the trees that are in use now
};

/// Removes what a crash left, then the least recently used trees, until `needed` bytes fit into the
/// cache and on the disk.
Room remove_oldest(const std::string& directory, std::uint64_t needed, std::uint64_t limit) {
    auto entries = entries_in(directory);
    std::erase_if(entries, [&](const CacheEntry& entry) {
        return is_partial_name(entry.name) && remove_any(directory, entry.name);
    });
    std::uint64_t used = 0;
    for (const auto& entry : entries) used += entry.size_bytes;
    const auto fits_disk = [&] { return available_bytes(directory).value_or(needed) >= needed; };
    for (auto oldest = entries.rbegin();
         oldest != entries.rend() && (used + needed > limit || !fits_disk()); ++oldest)
        if (remove_any(directory, oldest->name)) used -= oldest->size_bytes;
    const std::uint64_t available = available_bytes(directory).value_or(needed);
    const bool may_come = used > 0 && available + used >= needed;
    if (used + needed > limit)
        return {fail(Errc::limit, directory + ": the cache is full of trees in use",
                     "set SQUENV_CACHE_SIZE to more"),
                may_come};
    if (available < needed) return {no_room_on_disk(directory, needed, available), may_come};
    return {};
}

/// Waits for the trees of runs that have just ended, when that can help.
Status make_room(const std::string& directory, std::uint64_t needed) {
    SQUENV_TRY_ASSIGN(const auto limit, cache_size_limit());
    if (needed > limit) return no_room_in_cache(directory, needed, limit);
    const auto end = std::chrono::steady_clock::now() + kKeeperTime;
    for (;;) {
        Room room = remove_oldest(directory, needed, limit);
        if (room.status || !room.may_come || std::chrono::steady_clock::now() >= end)
            return std::move(room.status);
        std::this_thread::sleep_for(kKeeperTime / 100);
    }
}

/// Unpacks into a partial entry.
Status fill_entry(const std::string& entry, const TreeName& name, Record record,
                  const image::Image& image) {
    // Other processes count its size from now on.
    SQUENV_TRY(write_record(entry, record));
    extract::ExtractOptions options;
    options.is_read_only = true;
    SQUENV_TRY_ASSIGN(const auto report,
                      extract::extract_tree(image, image.root(), tree_in(entry), options));
    if (!report.errors.empty()) return tl::unexpected(report.errors.front().joined());
    if (!is_unchanged(name, image))
        return fail(Errc::busy, record.image + ": was changed while it was unpacked",
                    "try again when it is complete");
    SQUENV_TRY_ASSIGN(const auto survey, survey_tree(tree_in(entry)));
    record.fingerprint = survey.fingerprint();
    return write_record(entry, record);
}

/// Gives a filled entry its name. An entry can be there already: the tree of a faster process,
/// where nothing can be locked, or one that is damaged and in use. Users of that one keep it.
Result<CachedTree> publish(HeldEntry fresh, const std::string& path) {
    if (::rename(fresh.path.c_str(), path.c_str()) != 0) {
        const int code = errno;
        if (code != EEXIST && code != ENOTEMPTY) {
            remove_tree(fresh.path);
            return fail_errno(code, path);
        }
        if (auto tree = use_entry(path)) {
            remove_tree(fresh.path);
            return std::move(*tree);
        }
        const auto old = exchange_entries(fresh.path, path);
        if (!old) {
            remove_tree(fresh.path);
            return tl::unexpected(old.error());
        }
        remove_partial_entry(*old);
    }
    return CachedTree{tree_in(path), path, std::move(fresh.directory), true};
}

/// `is_alone`: no other process unpacks the same tree.
Result<CachedTree> make_tree(const std::string& directory, const TreeName& name,
                             const std::string& image_path, const image::Image& image,
                             bool is_alone) {
    // The entry is not complete; while it is in use it stays. Without locks, another process may
    // have completed it just now: then publish() exchanges it only when it is not.
    if (is_alone) remove_entry(directory, name.text);
    const std::uint64_t needed = image::unpacked_bytes(image);
    SQUENV_TRY(make_room(directory, needed));
    SQUENV_TRY_ASSIGN(auto fresh, make_partial_entry(directory, name.text));
    const auto status = fill_entry(fresh.path, name, {needed, {}, image_path, 0}, image);
    if (!status) {
        remove_tree(fresh.path);
        return tl::unexpected(status.error());
    }
    return publish(std::move(fresh), directory + '/' + name.text);
}

/// Removes the lock files of processes that were killed while they unpacked.
void remove_locks(const std::string& directory) {
    std::error_code error;
    for (const auto& file : fs::directory_iterator(directory, error)) {
        const auto& path = file.path();
        if (path.extension() != kLockSuffix || !is_tree_name(path.stem().string())) continue;
        const auto fd = open_file(path.string(), O_RDWR | O_NOFOLLOW);
        if (fd && lock_file(fd->get(), LOCK_EX | LOCK_NB) != Locking::busy) ::unlink(path.c_str());
    }
}

}  // namespace

Result<CachedTree> obtain_tree(const std::string& image_path, const image::Image& image) {
    SQUENV_TRY(cache_size_limit());
    SQUENV_TRY_ASSIGN(const auto directory, cache_directory());
    SQUENV_TRY_ASSIGN(const auto name, name_tree(directory, image_path, image));
    const std::string path = directory + '/' + name.text;
    for (int attempts = kDirectoryAttempts;;) {
        if (auto tree = use_entry(path)) return std::move(*tree);
        auto asked = take_turn(path + kLockSuffix);
        // A process that only checked for a cache has removed the empty directory.
        if (!asked && asked.error().sys_errno == ENOENT && --attempts > 0) {
            SQUENV_TRY(cache_directory());
            continue;
        }
        if (!asked) return tl::unexpected(asked.error());
        const UniqueFd turn = std::move(*asked);
        if (!turn) continue;
        // A second lock call shows whether there are locks.
        const bool is_alone = lock_file(turn.get(), LOCK_EX | LOCK_NB) == Locking::held;
        // It may have been unpacked between the first look and the lock.
        auto unpacked = use_entry(path);
        auto tree = unpacked ? Result<CachedTree>(std::move(*unpacked))
                             : make_tree(directory, name, image_path, image, is_alone);
        // Processes that wait for the file find that it has no name any more.
        ::unlink((path + kLockSuffix).c_str());
        return tree;
    }
}

Status check_room(const std::string& image_path, const image::Image& image) {
    const std::string directory = cache_path();
    const std::uint64_t needed = image::unpacked_bytes(image);
    SQUENV_TRY_ASSIGN(const auto limit, cache_size_limit());
    SQUENV_TRY_ASSIGN(const auto trees, list_trees());
    if (std::any_of(trees.begin(), trees.end(),
                    [&](const CacheEntry& tree) { return tree.image == image_path; }))
        return {};
    std::uint64_t unused = 0;
    for (const CacheEntry& tree : trees)
        if (!tree.is_used) unused += tree.size_bytes;
    if (needed > limit) return no_room_in_cache(directory, needed, limit);
    // Where nothing is yet, the disk is that of the directory above.
    const std::string parent = fs::path(directory).parent_path().string();
    const auto available = available_bytes(fs::exists(directory) ? directory : parent);
    if (available && *available + unused < needed)
        return no_room_on_disk(directory, needed, *available);
    return {};
}

Result<std::vector<CacheEntry>> list_trees() {
    SQUENV_TRY_ASSIGN(const auto directory, existing_cache_directory());
    if (!directory) return std::vector<CacheEntry>();
    auto entries = entries_in(*directory);
    std::erase_if(entries, [](const CacheEntry& entry) { return is_partial_name(entry.name); });
    for (auto& entry : entries) {
        const auto fd = open_file(*directory + '/' + entry.name, O_RDONLY | O_DIRECTORY);
        entry.is_used = fd && !is_unused(fd->get());
    }
    return entries;
}

Result<std::vector<CacheEntry>> remove_unused_trees() {
    SQUENV_TRY_ASSIGN(const auto directory, existing_cache_directory());
    if (!directory) return std::vector<CacheEntry>();
    std::vector<CacheEntry> removed;
    for (const auto& entry : entries_in(*directory))
        if (remove_any(*directory, entry.name) && !is_partial_name(entry.name))
            removed.push_back(entry);
    remove_locks(*directory);
    forget_digests(*directory);
    return removed;
}

}  // namespace squenv::cache
