// SPDX-License-Identifier: MIT
#include "cache/entry.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <utility>

#include "base/file_io.h"
#include "base/file_lock.h"
#include "cache/tree_name.h"

namespace squenv::cache {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartialMark = ".partial-";
constexpr const char* kRecord = "record";
/// The fingerprint of a tree that is not complete.
constexpr const char* kUnfinished = "-";
/// Without locks, an entry stays for this long after its last renewal: many times the hour after
/// which its users renew it.
constexpr std::time_t kGrace = 86'400;
/// Each attempt means that another process replaced the entry between two system calls.
constexpr int kEntryAttempts = 100;

Result<UniqueFd> open_entry(const std::string& path) {
    return open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/// An empty directory with a unique name.
Result<std::string> make_unique_directory(const std::string& directory, std::string_view name) {
    std::string path = fmt::format("{}/{}{}XXXXXX", directory, name, kPartialMark);
    if (::mkdtemp(path.data()) != nullptr) return path;
    const int code = errno;
    return fail_errno(code, fmt::format("{}/{}", directory, name));
}

std::string record_in(const std::string& entry) {
    return entry + '/' + kRecord;
}

}  // namespace

std::string tree_in(const std::string& entry) {
    return entry + "/tree";
}

std::optional<Record> read_record(const std::string& entry) {
    Record record;
    std::istringstream file(file_content(record_in(entry)).value_or(""));
    if (!(file >> record.size_bytes >> record.fingerprint)) return std::nullopt;
    if (record.fingerprint == kUnfinished) record.fingerprint.clear();
    file.ignore(1);
    // The path ends with the file, not with a line: it may contain a newline itself.
    record.image.assign(std::istreambuf_iterator<char>(file), {});
    if (record.image.ends_with('\n')) record.image.pop_back();
    struct stat info {};
    if (::lstat(record_in(entry).c_str(), &info) == 0) record.last_used = info.st_mtim.tv_sec;
    return record;
}

Status write_record(const std::string& entry, const Record& record) {
    const std::string path = record_in(entry);
    const std::string text = fmt::format(
        "{} {}\n{}\n", record.size_bytes,
        record.fingerprint.empty() ? kUnfinished : record.fingerprint.c_str(), record.image);
    SQUENV_TRY_ASSIGN(const auto fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    if (const auto status = write_all(fd.get(), as_bytes(text)); !status)
        return with_context(status.error(), path);
    return {};
}

std::optional<HeldEntry> hold_entry(const std::string& path) {
    for (int attempt = 0; attempt < kEntryAttempts; ++attempt) {
        auto directory = open_entry(path);
        if (!directory) return std::nullopt;
        lock_file(directory->get(), LOCK_SH);
        if (is_named(directory->get(), path)) return HeldEntry{path, std::move(*directory)};
    }
    return std::nullopt;
}

Result<HeldEntry> make_partial_entry(const std::string& directory, const std::string& name) {
    for (int attempt = 0; attempt < kEntryAttempts; ++attempt) {
        SQUENV_TRY_ASSIGN(const auto path, make_unique_directory(directory, name));
        // Before it was locked, another process may have removed it as the remains of a crash.
        if (auto entry = hold_entry(path)) return std::move(*entry);
    }
    return fail(Errc::busy, directory + '/' + name + ": another process keeps removing it",
                "try again");
}

Result<std::string> exchange_entries(const std::string& fresh, const std::string& path) {
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0)
        return fresh;
    // A file system without an exchange, such as NFS: for a moment there is nothing at `path`.
    const fs::path parted(path);
    SQUENV_TRY_ASSIGN(const auto aside, make_unique_directory(parted.parent_path().string(),
                                                              parted.filename().string()));
    if (::rename(path.c_str(), aside.c_str()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0)
        return fail_errno(errno, path);
    return aside;
}

void renew_use(int directory) {
    ::utimensat(directory, kRecord, nullptr, AT_SYMLINK_NOFOLLOW);
}

bool is_unused(int directory) {
    switch (lock_file(directory, LOCK_EX | LOCK_NB)) {
        case Locking::held: return true;
        case Locking::busy: return false;
        case Locking::impossible: break;
    }
    struct stat info {};
    if (::fstatat(directory, kRecord, &info, AT_SYMLINK_NOFOLLOW) != 0 &&
        ::fstat(directory, &info) != 0)
        return false;
    return info.st_mtim.tv_sec + kGrace < std::time(nullptr);
}

bool remove_entry(const std::string& directory, const std::string& name) {
    const std::string path = directory + '/' + name;
    const auto entry = open_entry(path);
    if (!entry || !is_unused(entry->get()) || !is_named(entry->get(), path)) return false;
    const auto partial = make_unique_directory(directory, name);
    if (!partial) return false;
    if (::rename(path.c_str(), partial->c_str()) != 0) {
        ::rmdir(partial->c_str());
        return false;
    }
    remove_tree(*partial);
    return true;
}

bool remove_partial_entry(const std::string& path) {
    const auto entry = open_entry(path);
    if (!entry || !is_unused(entry->get()) || !is_named(entry->get(), path)) return false;
    remove_tree(path);
    return true;
}

// Trees are not writable: a directory must become so before its entries can go.
void remove_tree(const std::string& path) {
    std::error_code error;
    fs::permissions(path, fs::perms::owner_all, fs::perm_options::add, error);
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
        if (at->is_directory(error) && !at->is_symlink(error))
            fs::permissions(at->path(), fs::perms::owner_all, fs::perm_options::add, error);
    fs::remove_all(path, error);
}

bool is_partial_name(std::string_view name) {
    const auto mark = name.find(kPartialMark);
    return mark != std::string_view::npos && is_tree_name(name.substr(0, mark));
}

}  // namespace squenv::cache
