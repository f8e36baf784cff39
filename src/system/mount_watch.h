// SPDX-License-Identifier: MIT
// Whether a mount is still in the mount namespace that a process has left.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// An open mount table. The kernel tells of each change of it by POLLPRI, and goes on to show the
/// namespace in which it was opened. Not thread-safe.
class MountWatch {
  public:
    /// On the mounts of the caller's namespace. Errors: those of open(2).
    [[nodiscard]] static Result<MountWatch> open();
    /// On a table that was opened before, possibly under another number.
    explicit MountWatch(UniqueFd table) : table_(std::move(table)) {}

    /// Reports POLLPRI, and POLLERR with it, when something was mounted or unmounted.
    [[nodiscard]] int fd() const { return table_.get(); }
    /// Whether the FUSE mount `device_minor` (MountEntry::device_minor) is there, at any path. True
    /// where the table cannot be read.
    [[nodiscard]] bool has_mount(std::uint32_t device_minor) const;

  private:
    UniqueFd table_;
};

}  // namespace squenv::system
