// SPDX-License-Identifier: MIT
// The files of an environment, wherever they are: in a directory, or in an image that is not
// mounted.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::venv {

enum class Kind { file, directory, symlink, other };

struct FileEntry {
    std::string name;
    Kind kind = Kind::other;
};

/// Paths are relative to the root of the tree, which is "". No symlink is followed in an image, and
/// callers descend into directories only.
class FileTree {
  public:
    virtual ~FileTree() = default;
    /// The entries of a directory, sorted by name; none when it is not there, or no directory.
    /// Errors: denied, corrupt, io.
    [[nodiscard]] virtual Result<std::vector<FileEntry>> list(const std::string& path) const = 0;
    /// The first `limit` bytes of a regular file; "" when it is not there, or none.
    /// Errors: denied, corrupt, io.
    [[nodiscard]] virtual Result<std::string> read(const std::string& path,
                                                   std::size_t limit) const = 0;
    /// Where a symlink leads to; "" when it is not there, or none. Errors: denied, corrupt, io.
    [[nodiscard]] virtual Result<std::string> link(const std::string& path) const = 0;
};

/// The directory `root`, an absolute path.
class DirectoryTree final : public FileTree {
  public:
    explicit DirectoryTree(std::string root) : root_(std::move(root)) {}
    [[nodiscard]] Result<std::vector<FileEntry>> list(const std::string& path) const override;
    [[nodiscard]] Result<std::string> read(const std::string& path,
                                           std::size_t limit) const override;
    [[nodiscard]] Result<std::string> link(const std::string& path) const override;

  private:
    std::string root_;
};

}  // namespace squenv::venv
