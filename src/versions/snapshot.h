// SPDX-License-Identifier: MIT
// What there is at one moment: the files, the log, and which version is current.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file_identity.h"
#include "base/result.h"
#include "versions/log.h"
#include "versions/place.h"
#include "versions/versions.h"

namespace squenv::versions {

/// The regular file at `path`, a link not followed; nothing when there is none.
[[nodiscard]] std::optional<FileIdentity> identity_at(const std::string& path);
[[nodiscard]] bool is_same_inode(const FileIdentity& one, const FileIdentity& other);
/// The SHA-256 that the appendix of the image at `path` has of all content, in hex; "" without one.
[[nodiscard]] std::string digest_of(const std::string& path);
/// Whether both files have the same content, as far as can be told without reading all of it.
[[nodiscard]] bool is_same_content(const std::string& one, const std::string& other);
/// Whether the file at `path` is the one of the entry: by size, time and digest. Times alone do not
/// tell: the clock of files stands still for milliseconds.
[[nodiscard]] bool is_file_of(const Entry& entry, const FileIdentity& file,
                              const std::string& path);

/// A version that is not current.
struct KeptFile {
    FileIdentity identity{};
    std::string path{};
};

struct Snapshot {
    Place place;
    Log log{};
    std::map<std::uint64_t, KeptFile> kept{};  ///< the files in the directory, by number
    std::optional<FileIdentity> image{};       ///< the current one; nothing when it is gone
    std::uint64_t current = 0;                 ///< its number; 0 when it is gone

    /// A number that no version has had.
    [[nodiscard]] std::uint64_t next() const;
    /// The version `number` as the log or else its file describes it; nothing when it is gone.
    [[nodiscard]] std::optional<Version> version(std::uint64_t number) const;
    /// All, oldest first.
    [[nodiscard]] std::vector<Version> versions() const;
    /// The log's, or one made from the file.
    [[nodiscard]] Entry entry(std::uint64_t number) const;
    /// The number that the log has for the file at `path`; 0 when it has none.
    [[nodiscard]] std::uint64_t logged_number(const FileIdentity& file,
                                              const std::string& path) const;
    /// The number of the version that is in the incoming file `number`, because that of a new
    /// version was exchanged with it; nothing when it is a new version that never became current.
    [[nodiscard]] std::optional<std::uint64_t> displaced_number(std::uint64_t number) const;
    /// "there is no version 7", with those that there are as the next step.
    [[nodiscard]] tl::unexpected<Error> no_such(std::uint64_t number) const;
};

/// Errors: denied, io, invalid_argument (IMAGE is no file).
[[nodiscard]] Result<Snapshot> take_snapshot(const Place& place);

/// The name of the user, or the number of one without.
[[nodiscard]] std::string user_name(unsigned uid);
/// Seconds since 1970.
[[nodiscard]] std::int64_t now();

}  // namespace squenv::versions
