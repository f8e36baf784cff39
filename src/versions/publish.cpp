// SPDX-License-Identifier: MIT
// New versions: files that were made, and the content of earlier versions.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/kept_access.h"
#include "base/output_path.h"
#include "base/temporary_name.h"
#include "base/unique_fd.h"
#include "image/image.h"
#include "versions/refusal.h"
#include "versions/replacement.h"
#include "versions/store.h"
#include "versions/versions.h"

namespace squenv::versions {

namespace {

/// A directory that cannot be synced changes nothing that could be taken back.
void sync_directory(const std::string& path) {
    if (const auto directory = open_file(path, O_RDONLY | O_DIRECTORY))
        (void)::fsync(directory->get());
}

/// What a crash of the machine must not lose is on the disk before its name is.
Status sync_file(const std::string& path) {
    SQUENV_TRY_ASSIGN(const UniqueFd file, open_file(path, O_RDONLY));
    if (::fsync(file.get()) != 0) return refused(errno, path);
    return {};
}

/// Passes the access rights of the file `from` on to the one at `path`. Returns what could not be
/// kept, or "".
Result<std::string> pass_access(const std::string& from, const std::string& path) {
    SQUENV_TRY_ASSIGN(const UniqueFd file, open_file(path, O_RDONLY));
    return keep_access(file.get(), from).value_or("");
}

Result<Version> replace_plainly(const std::string& fresh, const Place& place) {
    Version version;
    SQUENV_TRY_ASSIGN(version.access_note, pass_access(place.image, fresh));
    SQUENV_TRY(sync_file(fresh));
    if (::rename(fresh.c_str(), place.image.c_str()) != 0) return refused(errno, place.image);
    sync_directory(output_directory(place.image));
    version.is_current = true;
    version.path = place.image;
    return version;
}

/// The line of a new version, which lies at `path` now.
Result<Entry> describe(std::uint64_t number, const std::string& path, const Origin& origin) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    const FileIdentity file = identity_of(info);
    return Entry{number,          now(),  file.size_bytes,       file.mtime_ns,
                 digest_of(path), origin, user_name(::geteuid())};
}

Result<Version> make_current(Store& store, const std::string& fresh, const Origin& origin,
                             bool is_durable) {
    const Place place = store.found().place;
    SQUENV_TRY_ASSIGN(auto replacement, Replacement::begin(store, fresh));
    std::string note;
    if (store.found().image) {
        SQUENV_TRY_ASSIGN(note, pass_access(place.image, replacement.path()));
    }
    if (is_durable) SQUENV_TRY(sync_file(replacement.path()));
    SQUENV_TRY_ASSIGN(Entry entry, describe(replacement.number(), replacement.path(), origin));
    // Before the file is current: killed in between, a line is left that belongs to no file.
    SQUENV_TRY(store.append(line_of(entry)));
    SQUENV_TRY(replacement.finish());
    if (is_durable) {
        sync_directory(place.directory);
        sync_directory(output_directory(place.image));
    }
    Version version;
    version.number = entry.number;
    version.time = entry.time;
    version.size_bytes = entry.size_bytes;
    version.digest = std::move(entry.digest);
    version.origin = std::move(entry.origin);
    version.user = std::move(entry.user);
    version.is_current = true;
    version.path = place.image;
    version.access_note = std::move(note);
    return version;
}

}  // namespace

bool are_kept(const std::string& image) {
    const auto place = find_place(image);
    return place && place->is_directory();
}

Status check_publish(const std::string& image, bool keep) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    const bool is_kept = place.is_directory();
    if (!is_kept && !keep) return {};
    const std::string directory = is_kept ? place.directory : output_directory(place.image);
    if (::access(directory.c_str(), W_OK | X_OK) != 0) return refused(errno, directory);
    if (::access(place.log().c_str(), W_OK) != 0 && errno != ENOENT)
        return refused(errno, place.log());
    return {};
}

Result<Version> publish(const std::string& fresh, const std::string& image, const Origin& origin,
                        bool keep) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    if (!keep && !place.is_directory()) return replace_plainly(fresh, place);
    SQUENV_TRY_ASSIGN(const bool is_new, make_directory(place));
    auto store = Store::open(place);
    if (!store) {
        if (is_new) ::rmdir(place.directory.c_str());
        return tl::unexpected(store.error());
    }
    return make_current(*store, fresh, origin, true);
}

namespace {

/// Other processes, one after the other, that rename the file which is to become current.
constexpr int kMoves = 20;

/// The version before the current one, or the one asked for.
Result<Version> choose_target(const Snapshot& found, std::uint64_t wanted) {
    if (wanted != 0) {
        auto version = found.version(wanted);
        if (!version) return found.no_such(wanted);
        return *version;
    }
    for (auto at = found.kept.rbegin(); at != found.kept.rend(); ++at)
        if (!found.image || at->first < found.current) return *found.version(at->first);
    return fail(Errc::not_found, found.place.image + ": there is no earlier version", kHowToKeep);
}

/// Whether the file may get the access rights of the image: otherwise it needs a copy of its own.
bool is_same_access(const std::string& path, const std::string& image) {
    struct stat file {};
    struct stat other {};
    return ::stat(path.c_str(), &file) == 0 && ::stat(image.c_str(), &other) == 0 &&
           (file.st_uid == ::geteuid() ||
            (file.st_mode == other.st_mode && file.st_gid == other.st_gid));
}

bool is_one_file_system(const Place& place) {
    struct stat versions {};
    struct stat image {};
    return ::stat(place.directory.c_str(), &versions) == 0 &&
           ::stat(output_directory(place.image).c_str(), &image) == 0 &&
           versions.st_dev == image.st_dev;
}

/// Another name for the file of the version; a copy where it cannot have one.
Result<std::string> second_name(const Snapshot& found, const Version& target) {
    const Place& place = found.place;
    if (!is_one_file_system(place)) {
        std::string copy = unique_name(place.image + ".tmp.");
        SQUENV_TRY(copy_file(target.path, copy));
        return copy;
    }
    std::string name = unique_name(place.directory + '/' + std::string(kSecondName));
    const bool may_link = !found.image || is_same_access(target.path, place.image);
    if (may_link && ::link(target.path.c_str(), name.c_str()) == 0) return name;
    SQUENV_TRY(copy_file(target.path, name));
    return name;
}

bool is_current_content(const Snapshot& found, const Version& target) {
    const auto kept = found.kept.find(target.number);
    return target.is_current || (found.image && kept != found.kept.end() &&
                                 is_same_inode(kept->second.identity, *found.image));
}

Status choose(const Snapshot& found, std::uint64_t wanted, Rollback& result) {
    SQUENV_TRY_ASSIGN(result.target, choose_target(found, wanted));
    result.from = found.version(found.current).value_or(Version{});
    // A file that is no image must not become current.
    SQUENV_TRY(image::Image::open(result.target.path));
    return {};
}

/// Sets all of `result` that is known before a version is made. Returns the file that is to become
/// current, or "" when it is so already.
Result<std::string> take_target(Store& store, std::uint64_t wanted, Rollback& result) {
    for (int attempt = 1;; ++attempt) {
        auto status = choose(store.found(), wanted, result);
        if (status && is_current_content(store.found(), result.target)) return std::string();
        auto name = status ? second_name(store.found(), result.target)
                           : Result<std::string>(tl::unexpected(status.error()));
        // Without locks another process may give the file its final name, or prune it. A directory
        // that is read meanwhile may show neither name.
        const bool is_moved = !name && name.error().code == Errc::not_found && !store.is_locked();
        if (!is_moved || attempt == kMoves) return name;
        SQUENV_TRY(store.look());
    }
}

}  // namespace

Result<Rollback> rollback(const std::string& image, const RollbackOptions& options) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    if (!place.is_directory()) {
        SQUENV_TRY(history(image));
        return fail(Errc::not_found, image + ": no versions of it are kept", kHowToKeep);
    }
    Rollback result;
    if (options.is_dry_run) {
        SQUENV_TRY_ASSIGN(const Snapshot found, take_snapshot(place));
        SQUENV_TRY(choose(found, options.to, result));
        if (is_current_content(found, result.target)) result.made = result.from;
        return result;
    }
    SQUENV_TRY_ASSIGN(Store store, Store::open(place));
    SQUENV_TRY_ASSIGN(const std::string name, take_target(store, options.to, result));
    if (name.empty()) {
        result.made = result.from;
        return result;
    }
    const TemporaryName guard(name);
    // The content is on the disk already, and either name is right after a crash of the machine.
    auto made =
        make_current(store, name, {"rollback", options.command, result.target.number}, false);
    if (!made) {
        ::unlink(name.c_str());
        return tl::unexpected(made.error());
    }
    result.made = std::move(*made);
    return result;
}

}  // namespace squenv::versions
