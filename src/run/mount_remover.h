// SPDX-License-Identifier: MIT
// Takes a mount away where a policy lets it be made and not be unmounted. The removal of a
// directory detaches what is mounted on it, unless it is mounted in the namespace of the process
// that removes it.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::run {

/// A process in a mount namespace that does not get the mounts that are made later. It ends with
/// this object.
class MountRemover {
  public:
    /// For a mount that is going to be made on the directory at `path`. Without such a namespace,
    /// remove() always fails. Before any thread exists.
    explicit MountRemover(std::string path);
    ~MountRemover();
    MountRemover(const MountRemover&) = delete;
    MountRemover& operator=(const MountRemover&) = delete;
    /// Removes the directory, and with it the mount in all namespaces. False when that fails.
    [[nodiscard]] bool remove();

  private:
    std::string path_;
    UniqueFd socket_{};
    pid_t process_ = -1;
};

}  // namespace squenv::run
