// SPDX-License-Identifier: MIT
// The directory of versions, for those that change it: one process after the other.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "versions/log.h"
#include "versions/place.h"
#include "versions/snapshot.h"

namespace squenv::versions {

/// Makes the directory, for those who may write beside the image; one that is there already is no
/// error. Returns whether it is new. Errors: denied, not_found, limit, io.
[[nodiscard]] Result<bool> make_directory(const Place& place);

/// Opens a file of the directory for reading and writing, with `flags` added. A new one is for
/// those who may write in the directory; all who may read the image may read it.
/// Errors: denied, limit, io.
[[nodiscard]] Result<UniqueFd> open_shared(const Place& place, const std::string& path, int flags);

/// Renames without replacing. Returns 0 or an errno, EEXIST when there is a file of that name.
[[nodiscard]] int rename_new(const std::string& from, const std::string& to);

/// The directory with its lock, where there are locks, and what was found in it. Whatever a process
/// that was killed left there is in order.
class Store {
  public:
    enum class Purpose {
        change,
        /// Removing versions only: on a full disk without the lines that do not fit, and without
        /// the lock when there is no room even for that.
        make_room,
    };
    /// Errors: denied, busy (the lock is held for a minute), not_found, limit, io.
    [[nodiscard]] static Result<Store> open(const Place& place, Purpose purpose = Purpose::change);

    [[nodiscard]] const Snapshot& found() const { return found_; }
    [[nodiscard]] bool is_locked() const { return is_locked_; }
    /// Errors: limit, io.
    [[nodiscard]] Status append(const std::string& line);
    /// Looks again: without locks other processes change things, too.
    [[nodiscard]] Status look();

  private:
    Store(Snapshot found, UniqueFd lock, UniqueFd log, bool is_locked);
    [[nodiscard]] Status repair();
    [[nodiscard]] Status log_unknown();
    void sweep_incoming(std::uint64_t number);

    Snapshot found_;
    UniqueFd lock_;
    UniqueFd log_;
    bool is_locked_ = false;
};

}  // namespace squenv::versions
