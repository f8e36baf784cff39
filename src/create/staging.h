// SPDX-License-Identifier: MIT
// The directory an environment is made in. Nothing of it stays: it goes with its owner, and one
// whose owner was killed goes when the next one is made.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::create {

/// DIRECTORY/squenv-create-UID.partial-XXXXXX with a lock on it for as long as a process has it
/// open, and in it the tree and a list of what stands for it elsewhere.
class Staging {
  public:
    /// Errors: limit (no space), denied, io.
    [[nodiscard]] static Result<Staging> make(const std::string& directory);
    Staging(Staging&& other) noexcept;
    Staging& operator=(Staging&&) = delete;
    /// Removes everything.
    ~Staging();

    [[nodiscard]] const std::string& path() const { return path_; }
    /// The directory to fill; it exists.
    [[nodiscard]] std::string tree() const { return path_ + "/tree"; }
    /// A directory for the temporary files of tools; it exists.
    [[nodiscard]] std::string temporary() const { return path_ + "/tmp"; }
    /// The descriptor with the lock. A process that keeps it open keeps all this from removal.
    [[nodiscard]] int lock() const { return lock_.get(); }

    /// Takes note of paths that are about to be made: empty directories, outermost first, or a link
    /// to the tree. Errors: limit, io.
    [[nodiscard]] Status note(const std::vector<std::string>& paths);
    /// Removes those that are still so, and in use by no mount.
    void remove_noted();

  private:
    Staging(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    std::string path_;  ///< "" when it has been moved from
    UniqueFd lock_;
};

/// Removes what killed processes of this user left in `directory`.
void sweep_staging(const std::string& directory);

}  // namespace squenv::create
