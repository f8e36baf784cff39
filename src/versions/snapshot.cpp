// SPDX-License-Identifier: MIT
#include "versions/snapshot.h"

#include <dirent.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <memory>
#include <set>
#include <span>

#include "appendix/appendix.h"
#include "base/account.h"
#include "base/paths.h"
#include "format/superblock.h"
#include "image/byte_source.h"
#include "image/image.h"

namespace squenv::versions {

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
/// At an image that other processes replace meanwhile.
constexpr int kMostLooks = 100;

/// Reads the names in the directory: versions, and the numbers of incoming files.
Status list_directory(Snapshot& snapshot, std::vector<std::uint64_t>& incoming) {
    const Place& place = snapshot.place;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(place.directory.c_str()),
                                                        &::closedir);
    if (!directory && errno == ENOENT) return {};
    if (!directory) return fail_errno(errno, place.directory);
    while (const dirent* entry = ::readdir(directory.get())) {
        if (const auto number = number_of_name(entry->d_name, kIncomingSuffix))
            incoming.push_back(*number);
        const auto number = number_of_name(entry->d_name, kKeptSuffix);
        if (!number) continue;
        if (const auto identity = identity_at(place.file(*number)))
            snapshot.kept.emplace(*number, KeptFile{*identity, place.file(*number)});
    }
    return {};
}

/// A process that exchanged files may be about to rename the old one, or have been killed.
void find_displaced(Snapshot& snapshot, const std::vector<std::uint64_t>& incoming) {
    for (const std::uint64_t number : incoming) {
        const auto old = snapshot.displaced_number(number);
        const std::string path = snapshot.place.file(number, kIncomingSuffix);
        const auto identity = identity_at(path);
        if (old && identity) snapshot.kept.emplace(*old, KeptFile{*identity, path});
    }
}

/// The greatest number that anything has.
std::uint64_t greatest(const Snapshot& snapshot) {
    std::uint64_t most = snapshot.kept.empty() ? 0 : snapshot.kept.rbegin()->first;
    for (const Entry& entry : snapshot.log.entries) most = std::max(most, entry.number);
    return std::max(most, snapshot.current);
}

/// A file that the log does not know came by other means, or the log is lost.
std::uint64_t number_of_image(const Snapshot& snapshot) {
    const std::uint64_t logged = snapshot.logged_number(*snapshot.image, snapshot.place.image);
    if (logged != 0) return logged;
    const std::uint64_t most = greatest(snapshot);
    const auto last = snapshot.kept.find(most);
    const bool is_last =
        last != snapshot.kept.end() && is_same_inode(last->second.identity, *snapshot.image);
    return is_last ? most : most + 1;
}

tl::unexpected<Error> closed_to_us(const std::string& image) {
    const std::string closed = closed_directory(image);
    if (closed.empty()) return fail_errno(EACCES, image);
    return fail_errno(EACCES, fmt::format("{}: {} may not be entered", image, closed),
                      permission_remedy(closed, "x"));
}

/// Nothing when the image is gone. Errors: denied, io, invalid_argument (it is no file).
Result<std::optional<FileIdentity>> look_at_image(const Place& place) {
    struct stat info {};
    if (::stat(place.image.c_str(), &info) != 0) {
        if (errno == EACCES) return closed_to_us(place.image);
        if (errno != ENOENT) return fail_errno(errno, place.image);
        return std::optional<FileIdentity>();
    }
    if (!S_ISREG(info.st_mode))
        return fail(Errc::invalid_argument, place.image + " is not a regular file",
                    "name the file of an image");
    return std::optional<FileIdentity>(identity_of(info));
}

/// What the image at `path` says of its making; empty without that.
Creation creation_in(const std::string& path) {
    const auto image = image::Image::open(path);
    if (!image) return {};
    auto manifest = (*image)->manifest();
    return manifest && *manifest ? std::move((*manifest)->creation) : Creation();
}

/// How a version came to be whose line is lost. An image that was edited still says how the first
/// one was created.
Origin origin_of(const Snapshot& snapshot, std::uint64_t number, const std::string& path) {
    Creation creation = creation_in(path);
    const auto next = snapshot.kept.lower_bound(number);
    const bool is_new =
        next == snapshot.kept.begin() || creation_in(std::prev(next)->second.path) != creation;
    if (creation.command.empty() || !is_new) return {"pack", "", 0};
    return {"create", std::move(creation.command), 0};
}

Result<Snapshot> look_once(const Place& place) {
    Snapshot snapshot{place};
    SQUENV_TRY_ASSIGN(snapshot.image, look_at_image(place));
    SQUENV_TRY_ASSIGN(snapshot.log, read_log(place.log()));
    std::vector<std::uint64_t> incoming;
    SQUENV_TRY(list_directory(snapshot, incoming));
    if (snapshot.image) snapshot.current = number_of_image(snapshot);
    find_displaced(snapshot, incoming);
    return snapshot;
}

}  // namespace

std::optional<FileIdentity> identity_at(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
    return identity_of(info);
}

bool is_same_inode(const FileIdentity& one, const FileIdentity& other) {
    return one.device == other.device && one.inode == other.inode;
}

std::string digest_of(const std::string& path) {
    const auto file = image::FileSource::open(path);
    std::array<std::byte, format::kSuperblockSize> first{};
    if (!file || !(*file)->read_exact(0, first)) return {};
    const auto superblock = format::parse_superblock(first, (*file)->size_bytes());
    std::array<std::byte, appendix::kHeaderSize> bytes{};
    if (!superblock || !(*file)->read_exact(appendix::position_of(superblock->bytes_used), bytes))
        return {};
    const auto header = appendix::parse_header(bytes);
    if (!header || !*header) return {};
    std::string hex;
    for (const std::byte byte : (*header)->digest)
        hex += fmt::format("{:02x}", static_cast<unsigned>(byte));
    return hex;
}

bool is_same_content(const std::string& one, const std::string& other) {
    const auto first = identity_at(one);
    const auto second = identity_at(other);
    if (!first || !second) return false;
    if (is_same_inode(*first, *second)) return true;
    if (first->size_bytes != second->size_bytes) return false;
    const std::string digest = digest_of(one);
    const std::string other_digest = digest_of(other);
    if (digest.empty() && other_digest.empty()) return first->mtime_ns == second->mtime_ns;
    return digest == other_digest;
}

bool is_file_of(const Entry& entry, const FileIdentity& file, const std::string& path) {
    if (entry.size_bytes != file.size_bytes || entry.mtime_ns != file.mtime_ns) return false;
    const std::string digest = entry.digest.empty() ? "" : digest_of(path);
    return digest.empty() || digest == entry.digest;
}

std::uint64_t Snapshot::next() const {
    return greatest(*this) + 1;
}

std::uint64_t Snapshot::logged_number(const FileIdentity& file, const std::string& path) const {
    const auto last = [&](auto&& matches) {
        const auto found = std::find_if(log.entries.rbegin(), log.entries.rend(), matches);
        return found == log.entries.rend() ? 0 : found->number;
    };
    const std::uint64_t number =
        last([&](const Entry& entry) { return is_file_of(entry, file, path); });
    if (number != 0) return number;
    // A copy has another time.
    const bool may_be_copy =
        std::any_of(log.entries.begin(), log.entries.end(),
                    [&](const Entry& entry) { return entry.size_bytes == file.size_bytes; });
    if (!may_be_copy) return 0;
    const std::string digest = digest_of(path);
    if (digest.empty()) return 0;
    return last([&](const Entry& entry) {
        return entry.size_bytes == file.size_bytes && entry.digest == digest;
    });
}

Entry Snapshot::entry(std::uint64_t number) const {
    const auto file = kept.find(number);
    const bool is_image = number == current && image;
    const KeptFile other = file == kept.end() ? KeptFile{} : file->second;
    const std::string path = is_image ? place.image : other.path;
    const FileIdentity identity = is_image ? *image : other.identity;
    if (const Entry* logged = log.of(number)) {
        Entry entry = *logged;
        if (is_file_of(entry, identity, path)) return entry;
        entry.size_bytes = identity.size_bytes;
        entry.mtime_ns = identity.mtime_ns;
        entry.digest = digest_of(path);
        return entry;
    }
    Entry made{number, identity.mtime_ns / kNanoseconds, identity.size_bytes, identity.mtime_ns};
    made.digest = digest_of(path);
    // Only the packer of this program writes what the digest comes from.
    if (!made.digest.empty()) made.origin = origin_of(*this, number, path);
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) made.user = user_name(info.st_uid);
    return made;
}

std::optional<Version> Snapshot::version(std::uint64_t number) const {
    const bool is_image = number == current && image.has_value();
    if (number == 0 || (!is_image && !kept.contains(number))) return std::nullopt;
    Entry known = entry(number);
    Version version;
    version.number = number;
    version.time = known.time;
    version.size_bytes = known.size_bytes;
    version.digest = std::move(known.digest);
    version.origin = std::move(known.origin);
    version.user = std::move(known.user);
    version.is_pinned = log.pinned.contains(number);
    version.is_current = is_image;
    version.path = is_image ? place.image : kept.at(number).path;
    return version;
}

std::vector<Version> Snapshot::versions() const {
    std::set<std::uint64_t> numbers;
    for (const auto& [number, file] : kept) numbers.insert(number);
    if (image) numbers.insert(current);
    std::vector<Version> all;
    for (const std::uint64_t number : numbers)
        if (auto known = version(number)) all.push_back(std::move(*known));
    return all;
}

std::optional<std::uint64_t> Snapshot::displaced_number(std::uint64_t number) const {
    const std::string path = place.file(number, kIncomingSuffix);
    const auto file = identity_at(path);
    if (!file) return std::nullopt;
    const Entry* entry = log.of(number);
    const bool is_new = entry != nullptr ? is_file_of(*entry, *file, path)
                                         : !image || logged_number(*image, place.image) != 0;
    if (is_new) return std::nullopt;
    const std::uint64_t old = logged_number(*file, path);
    return old != 0 ? old : number - 1;
}

tl::unexpected<Error> Snapshot::no_such(std::uint64_t number) const {
    std::vector<std::uint64_t> numbers;
    for (const Version& known : versions()) numbers.push_back(known.number);
    return fail(Errc::not_found, fmt::format("{}: there is no version {}", place.image, number),
                numbers.empty() ? "no version is left"
                                : fmt::format("there {} {}", numbers.size() == 1 ? "is" : "are",
                                              fmt::join(numbers, ", ")));
}

/// The image must be one file all the time, because its number is found by what is at its name. The
/// content of one file with the time of another would be a version that never was.
Result<Snapshot> take_snapshot(const Place& place) {
    for (int look = 1;; ++look) {
        SQUENV_TRY_ASSIGN(Snapshot snapshot, look_once(place));
        SQUENV_TRY_ASSIGN(const auto image, look_at_image(place));
        if (image == snapshot.image || look == kMostLooks) return snapshot;
    }
}

std::string user_name(unsigned uid) {
    const auto account = account_of(uid);
    return account ? account->name : std::to_string(uid);
}

std::int64_t now() {
    return ::time(nullptr);
}

}  // namespace squenv::versions
