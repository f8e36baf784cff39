// SPDX-License-Identifier: MIT
// An entry of the cache: a directory NAME with a tree, NAME/tree, and a record of it, NAME/record.
// Both appear, and go, with one rename.
//
// Each user of a tree holds a shared lock on NAME. The kernel drops it with the last process that
// has it open. systemd-tmpfiles passes over an entry locked like that.
// NAME.partial-XXXXXX is an entry that is being filled, under such a lock too, that is being
// removed, or that was damaged in use.
// Where nothing can be locked, an entry counts as used until its record is a day old; each user
// renews that every hour.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::cache {

struct Record {
    std::uint64_t size_bytes = 0;
    std::string fingerprint{};  ///< of the whole tree (see survey.h); "" while it is being filled
    std::string image{};        ///< path of the image it came from
    std::time_t last_used = 0;  ///< when the record was written or renewed; not written
};

/// Nothing when it is missing or unreadable.
[[nodiscard]] std::optional<Record> read_record(const std::string& entry);
/// Errors: limit (no space), denied, io.
[[nodiscard]] Status write_record(const std::string& entry, const Record& record);
/// The path of the tree in `entry`.
[[nodiscard]] std::string tree_in(const std::string& entry);

/// An entry that cannot be removed while `directory` is open in any process.
struct HeldEntry {
    std::string path{};
    UniqueFd directory{};
};

/// Nothing when there is no entry at `path`. Waits for a process that removes it.
[[nodiscard]] std::optional<HeldEntry> hold_entry(const std::string& path);

/// A new partial entry for a tree called `name`. Errors: limit, denied, io.
[[nodiscard]] Result<HeldEntry> make_partial_entry(const std::string& directory,
                                                   const std::string& name);

/// Puts the partial entry `fresh` in place of the entry at `path`. Returns the new path of that.
[[nodiscard]] Result<std::string> exchange_entries(const std::string& fresh,
                                                   const std::string& path);

/// Marks the entry that is open as `directory` as used. A process that uses one for long does so
/// every hour: cleaners judge by times, and this cache does so without locks.
void renew_use(int directory);
inline constexpr int kRenewalMs = 60 * 60 * 1000;

/// True when no process uses the entry that is open as `directory`. That is then locked.
[[nodiscard]] bool is_unused(int directory);

/// False when it is used. An entry loses its name before anything in it goes, so that a removal
/// that stops half way leaves no damaged tree.
bool remove_entry(const std::string& directory, const std::string& name);
/// The same for a partial entry.
bool remove_partial_entry(const std::string& path);

/// Removes a tree with all its protected directories, as far as that is possible.
void remove_tree(const std::string& path);

[[nodiscard]] bool is_partial_name(std::string_view name);

}  // namespace squenv::cache
