// SPDX-License-Identifier: MIT
#include "cache/tree_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/units.h"
#include "cache/cache_directory.h"
#include "cache/file_digest.h"
#include "extract/extract.h"
#include "image/walk.h"

namespace squenv::cache {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLockSuffix = ".lock";
constexpr const char* kPartialSuffix = ".partial";
/// What a small file takes on disk beyond its content.
constexpr std::uint64_t kInodeBytes = 4096;

enum class Wait { yes, no };

/// Locks the file at `path`; nothing when somebody else has it and we do not wait. The file may
/// have been removed between opening and locking: then it is made anew.
Result<UniqueFd> lock_file(const std::string& path, int kind, Wait wait) {
    for (;;) {
        SQUENV_TRY_ASSIGN(auto fd, open_file(path, O_RDWR | O_CREAT, 0600));
        int result = 0;
        do {
            result = ::flock(fd.get(), kind | (wait == Wait::no ? LOCK_NB : 0));
        } while (result != 0 && errno == EINTR);
        if (result != 0) return fail_errno(errno, path);
        struct stat locked {};
        struct stat named {};
        if (::fstat(fd.get(), &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
            locked.st_ino == named.st_ino)
            return fd;
    }
}

/// Trees are not writable: a directory must become so before its entries can go.
void remove_tree(const std::string& path) {
    std::error_code error;
    fs::permissions(path, fs::perms::owner_all, fs::perm_options::add, error);
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
        if (at->is_directory(error) && !at->is_symlink(error))
            fs::permissions(at->path(), fs::perms::owner_all, fs::perm_options::add, error);
    fs::remove_all(path, error);
}

/// Whoever runs something in it must not change it for the next.
void protect_tree(const std::string& path) {
    constexpr auto kWrite =
        fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;
    std::error_code error;
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
        if (!at->is_symlink(error))
            fs::permissions(at->path(), kWrite, fs::perm_options::remove, error);
    fs::permissions(path, kWrite, fs::perm_options::remove, error);
}

CacheEntry describe(const std::string& directory, const std::string& name) {
    CacheEntry entry{name, {}, 0, 0, false};
    const std::string path = directory + '/' + name + kLockSuffix;
    std::ifstream file(path);
    file >> entry.size_bytes;
    file.ignore(1);
    // The path ends with the file, not with a line: it may contain a newline itself.
    entry.image.assign(std::istreambuf_iterator<char>(file), {});
    if (entry.image.ends_with('\n')) entry.image.pop_back();
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) entry.last_used = info.st_mtim.tv_sec;
    return entry;
}

/// Most recently used first.
std::vector<CacheEntry> entries_in(const std::string& directory) {
    std::vector<CacheEntry> entries;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(directory, error)) {
        const std::string name = file.path().filename().string();
        if (file.path().extension() == kLockSuffix)
            entries.push_back(describe(directory, file.path().stem().string()));
    }
    std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
        return a.last_used != b.last_used ? a.last_used > b.last_used : a.name < b.name;
    });
    return entries;
}

/// False when somebody uses it. The tree loses its name before anything in it goes: whoever stops
/// half way leaves something partial, as an unpacking that is stopped does, and no damaged tree.
bool remove_entry(const std::string& directory, const std::string& name) {
    const std::string path = directory + '/' + name;
    const auto lock = lock_file(path + kLockSuffix, LOCK_EX, Wait::no);
    if (!lock) return false;
    const std::string partial = path + kPartialSuffix;
    remove_tree(partial);
    if (::rename(path.c_str(), partial.c_str()) != 0 && errno != ENOENT) return false;
    remove_tree(partial);
    ::unlink((path + kLockSuffix).c_str());
    return true;
}

/// Bytes that the unpacked tree takes on disk.
std::uint64_t unpacked_bytes(const image::Image& image) {
    std::uint64_t bytes = 0;
    image::WalkVisitor visitor;
    visitor.enter = [&bytes](const std::string&, const image::Inode& inode) {
        bytes += kInodeBytes + (inode.is_file() ? inode.size_bytes : 0);
        return true;
    };
    visitor.failed = [](const std::string&, const Error&) { return true; };
    image::walk(image, image.root(), visitor);
    return bytes;
}

/// Removes what was not used for longest until `needed` bytes fit, into the cache and on the disk.
Status make_room(const std::string& directory, const std::string& own_name,
                 std::uint64_t needed) {
    SQUENV_TRY_ASSIGN(const auto limit, cache_size_limit());
    if (needed > limit)
        return fail(Errc::limit,
                    fmt::format("{}: unpacked it takes {}, the cache holds {}", directory,
                                format_size(needed), format_size(limit)),
                    "set SQUENV_CACHE_SIZE to more");
    auto entries = entries_in(directory);
    std::erase_if(entries, [&](const CacheEntry& entry) { return entry.name == own_name; });
    std::uint64_t used = 0;
    for (const auto& entry : entries) used += entry.size_bytes;
    const auto available = [&] {
        struct statvfs disk {};
        return ::statvfs(directory.c_str(), &disk) == 0
                   ? static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize
                   : needed;
    };
    for (auto oldest = entries.rbegin();
         oldest != entries.rend() && (used + needed > limit || available() < needed); ++oldest)
        if (remove_entry(directory, oldest->name)) used -= oldest->size_bytes;
    if (used + needed > limit)
        return fail(Errc::limit, directory + ": the cache is full of trees in use",
                    "set SQUENV_CACHE_SIZE to more");
    if (available() < needed)
        return fail(Errc::limit,
                    fmt::format("{}: unpacked it takes {}, the disk has {}", directory,
                                format_size(needed), format_size(available())),
                    "name a directory with more room in SQUENV_CACHE");
    return {};
}

Status unpack(const image::Image& image, const std::string& tree) {
    const std::string partial = tree + kPartialSuffix;
    remove_tree(partial);
    auto report = extract::extract_tree(image, image.root(), partial, {});
    if (!report || !report->errors.empty()) {
        remove_tree(partial);
        return tl::unexpected(report ? report->errors.front() : report.error());
    }
    protect_tree(partial);
    if (::rename(partial.c_str(), tree.c_str()) != 0) return fail_errno(errno, tree);
    return {};
}

void note_use(int lock, std::uint64_t size_bytes, const std::string& image_path) {
    const std::string text = fmt::format("{} {}\n", size_bytes, image_path);
    if (::ftruncate(lock, 0) == 0)
        (void)!::pwrite(lock, text.data(), text.size(), 0);
}

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

/// The digest of an image, remembered under what tells its file from others: reading hundreds of
/// megabytes at every start would cost more than the start.
Result<std::string> remembered_digest(const std::string& directory, const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    const std::string note =
        fmt::format("{}/{:x}-{:x}-{:x}-{:x}.{:x}.digest", directory, info.st_dev, info.st_ino,
                    info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    std::string digest;
    if (std::ifstream(note) >> digest && digest.size() == 64) return digest;
    SQUENV_TRY_ASSIGN(digest, file_digest(path));
    const std::string fresh = fmt::format("{}.{}", note, ::getpid());
    std::ofstream(fresh) << digest << '\n';
    if (::rename(fresh.c_str(), note.c_str()) != 0) ::unlink(fresh.c_str());
    return digest;
}

}  // namespace

Result<CachedTree> obtain_tree(const std::string& image_path, const image::Image& image) {
    SQUENV_TRY_ASSIGN(const auto directory, cache_directory());
    SQUENV_TRY_ASSIGN(auto name, remembered_digest(directory, image_path));
    if (image.offset() != 0) name += fmt::format("-{:x}", image.offset());
    const std::string tree = directory + '/' + name;
    SQUENV_TRY_ASSIGN(auto lock, lock_file(tree + kLockSuffix, LOCK_SH, Wait::yes));
    if (exists(tree)) {
        ::futimens(lock.get(), nullptr);
        return CachedTree{tree, std::move(lock), false};
    }
    // Nobody else is let in from here to the rename; who waited finds the tree.
    lock.reset();
    SQUENV_TRY_ASSIGN(lock, lock_file(tree + kLockSuffix, LOCK_EX, Wait::yes));
    const bool is_new = !exists(tree);
    if (is_new) {
        const std::uint64_t needed = unpacked_bytes(image);
        auto status = make_room(directory, name, needed);
        if (status) status = unpack(image, tree);
        if (!status) {
            ::unlink((tree + kLockSuffix).c_str());
            return tl::unexpected(status.error());
        }
        note_use(lock.get(), needed, image_path);
    }
    // Not atomic, but only an eviction could come between, and this is the tree used last.
    if (::flock(lock.get(), LOCK_SH) != 0 || !exists(tree))
        return fail(Errc::busy, tree + ": removed while it was being unpacked", "try again");
    return CachedTree{tree, std::move(lock), is_new};
}

Result<std::vector<CacheEntry>> list_trees() {
    if (!exists(cache_path())) return std::vector<CacheEntry>();
    SQUENV_TRY_ASSIGN(const auto directory, cache_directory());
    auto entries = entries_in(directory);
    for (auto& entry : entries)
        entry.is_used = !lock_file(directory + '/' + entry.name + kLockSuffix, LOCK_EX, Wait::no);
    return entries;
}

Result<std::vector<CacheEntry>> remove_unused_trees() {
    if (!exists(cache_path())) return std::vector<CacheEntry>();
    SQUENV_TRY_ASSIGN(const auto directory, cache_directory());
    std::vector<CacheEntry> removed;
    for (const auto& entry : entries_in(directory))
        if (remove_entry(directory, entry.name)) removed.push_back(entry);
    std::error_code error;
    for (const auto& file : fs::directory_iterator(directory, error))
        if (file.path().filename().string().find(".digest") != std::string::npos)
            fs::remove(file.path(), error);
    return removed;
}

}  // namespace squenv::cache
