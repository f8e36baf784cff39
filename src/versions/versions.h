// SPDX-License-Identifier: MIT
// The versions of an image. IMAGE itself is always a plain file, the current version. The others
// are IMAGE.versions/N.squashfs, beside a log. A name IMAGE that is a symbolic link is followed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::versions {

/// How a version came to be.
struct Origin {
    std::string verb;          ///< "pack", "create", "edit", "rollback"; "" when it is not known
    std::string command;       ///< the user's words, quoted as a shell would need them
    std::uint64_t parent = 0;  ///< number of the version it was made from; 0: none
};

struct Version {
    std::uint64_t number = 0;  ///< from 1 on; 0: no versions are kept
    std::int64_t time = 0;     ///< seconds since 1970
    std::uint64_t size_bytes = 0;
    std::string digest{};  ///< SHA-256 in hex that the appendix has of all content; "" without one
    Origin origin{};
    std::string user{};  ///< who made it; "" when it is not known
    bool is_pinned = false;
    bool is_current = false;
    std::string path{};         ///< the file that holds it now
    std::string access_note{};  ///< of publish() and rollback(): what keep_access() could not keep
};

/// "env.squashfs@3" is the path of the file of that version, any other name unchanged. A file whose
/// name really ends so wins. Errors: not_found (there is no such version).
[[nodiscard]] Result<std::string> resolve(const std::string& name);

/// Whether a new file may be called `name`: not when resolve() takes that for a version of an image
/// that is there. Errors: invalid_argument.
[[nodiscard]] Status check_new_name(const std::string& name);

/// Whether versions of `image` are kept: its directory IMAGE.versions exists.
[[nodiscard]] bool are_kept(const std::string& image);

/// Gives the complete image `fresh`, a file in the directory of `image`, the name `image`. The file
/// that it replaces becomes IMAGE.versions/N.squashfs when versions are kept already, or with
/// `keep`, which makes the directory. Mode, group and ACL of that file pass to the new one. At no
/// moment is the name missing. The result has the number 0 when no versions are kept. On failure
/// `image` is what it was, and `fresh` is in its place, too.
/// Errors: denied, busy (another process holds the lock too long), limit, io.
[[nodiscard]] Result<Version> publish(const std::string& fresh, const std::string& image,
                                      const Origin& origin, bool keep);

/// Whether publish() can be expected to succeed, for telling early. Errors: as publish().
[[nodiscard]] Status check_publish(const std::string& image, bool keep);

/// Oldest first. A plain image without a directory of versions has one, number 1. Changes nothing.
/// Errors: not_found, denied, io.
[[nodiscard]] Result<std::vector<Version>> history(const std::string& image);

/// The current one of these. Errors: as history(); not_found when the image is gone.
[[nodiscard]] Result<Version> current(const std::string& image);

struct RollbackOptions {
    std::uint64_t to = 0;  ///< 0: the version before the current one
    bool is_dry_run = false;
    std::string command{};  ///< for the log
};
struct Rollback {
    Version from;    ///< the current version until then
    Version target;  ///< whose content becomes current
    Version made;    ///< the new version; when `target` is current already, that
};
/// Makes the content of an earlier version current, as a new version. Where it can be a hard link,
/// it takes no space. Errors: as publish(); not_found (no such version), corrupt (it is no image).
[[nodiscard]] Result<Rollback> rollback(const std::string& image, const RollbackOptions& options);

/// Pinned versions are not pruned. Errors: not_found (no such version, or none are kept), denied.
[[nodiscard]] Status set_pinned(const std::string& image, std::uint64_t number, bool is_pinned);

/// Whether the file at `path`, which is `device` and `inode`, is mounted.
using IsMounted =
    std::function<bool(const std::string& path, std::uint64_t device, std::uint64_t inode)>;

struct PruneOptions {
    std::optional<std::uint64_t>
        keep{};  ///< this many of the newest stay, the current one included
    std::optional<std::int64_t> older_than_seconds{};  ///< only what was replaced longer ago goes
    bool is_dry_run = false;
    IsMounted is_mounted{};
    /// Why a version must stay that an edit needs; "" when it need not.
    std::function<std::string(std::uint64_t number)> reason_to_stay{};
};
/// Without a choice this many versions stay.
inline constexpr std::uint64_t kDefaultKeep = 3;

struct Pruned {
    std::vector<Version> removed;
    /// What would have gone, and why it stays: "pinned", "mounted", "in use", reason_to_stay.
    std::vector<std::pair<Version, std::string>> spared;
    std::vector<Version> left;
    std::uint64_t freed_bytes = 0;
};
/// Removes old versions, and never the current one, a pinned one, or one whose file is open or
/// mounted on this node. Errors: not_found, denied, busy, io.
[[nodiscard]] Result<Pruned> prune(const std::string& image, const PruneOptions& options);

/// One editor of an image at a time.
class EditorLock {
  public:
    /// Makes the directory of versions when there is none. Errors: busy (says who edits it, by
    /// user, host and process, and since when), denied, not_found, io.
    [[nodiscard]] static Result<EditorLock> take(const std::string& image);
    EditorLock(EditorLock&& other) noexcept;
    EditorLock& operator=(EditorLock&&) = delete;
    /// Leaves no directory of versions that it made and in which there is nothing.
    ~EditorLock();

  private:
    EditorLock(std::string path, UniqueFd file, bool made_directory);
    std::string path_;
    UniqueFd file_;
    bool made_directory_ = false;
};

}  // namespace squenv::versions
