// SPDX-License-Identifier: MIT
// An editing session: the directory with its changes, and the record by which it is found again
// when it did not come to an end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "edit/overlay.h"

namespace squenv::edit {

/// How changes are kept.
enum class Kind {
    overlay,  ///< beside the image, as an upper layer
    tree,     ///< in an unpacked copy of the whole tree
};

/// The names of directories with the changes of sessions begin so.
inline constexpr const char* kStaging = "squenv-edit-";

struct Session {
    std::string image{};  ///< canonical path
    std::string staging{};
    Kind kind = Kind::overlay;
    std::string mountpoint{};
    std::string host{};
    std::int64_t started = 0;     ///< seconds since 1970
    std::int64_t pid = 0;         ///< of the process that began or resumed it
    std::uint64_t parent = 0;     ///< number of the version that it changes
    std::string parent_digest{};  ///< of that version's content
    bool is_begun = false;        ///< else there are no changes yet, or none any more

    [[nodiscard]] Layers layers() const { return {staging + "/upper", staging + "/work"}; }
    [[nodiscard]] std::string tree() const { return staging + "/tree"; }
};

/// The session of this user that was begun with `image` (canonical) and has not ended. Nothing
/// without one. Errors: corrupt (also: it names another directory than one of a session), denied
/// (another user can have written it), io.
[[nodiscard]] Result<std::optional<Session>> find_session(const std::string& image);

/// The versions of `image` (canonical) that a session of any user was begun with and has not ended,
/// by number, with the words for it. 0: it cannot be told which one.
[[nodiscard]] std::map<std::uint64_t, std::string> edited_versions(const std::string& image);

/// Writes down `session`, so that find_session() finds it. Errors: denied, limit, io.
[[nodiscard]] Status record_session(const Session& session);

/// Removes the changes of `session` and the record of it, in steps that can be interrupted. Changes
/// on another node stay there.
void end_session(Session session);

/// The name of this node.
[[nodiscard]] std::string host_name();

/// Keeps a session from being resumed while the descriptor, or a copy in the command, is open.
/// Errors: not_found (the directory is gone), busy (its command still runs).
[[nodiscard]] Result<UniqueFd> hold_session(const Session& session);

/// "since 2026-11-26 07:12:03 on node12 (process 4711)".
[[nodiscard]] std::string describe(const Session& session);

}  // namespace squenv::edit
