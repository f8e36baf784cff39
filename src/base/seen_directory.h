// SPDX-License-Identifier: MIT
// What one walk of a tree tells its observer, so that nothing in the tree is looked at twice.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace squenv {

/// Bytes of SeenEntry::head.
inline constexpr std::size_t kSeenHeadBytes = 16;

/// One name in a directory, with what lstat(2) says of it.
struct SeenEntry {
    std::string_view name;
    std::string_view target{};  ///< of a symlink; "" where it cannot be read
    /// The beginning of a regular file that the observer asks for; shorter, or "", when the file
    /// is, or cannot be read.
    std::string_view head{};
    std::uint64_t size_bytes = 0;
    std::int64_t mtime_seconds = 0;
    mode_t mode = 0;             ///< type and permissions
    bool has_attributes = true;  ///< false: only the name and the type are known

    [[nodiscard]] bool is_file() const { return S_ISREG(mode); }
    [[nodiscard]] bool is_symlink() const { return S_ISLNK(mode); }
};

/// One directory. Everything here is valid during the call only.
struct SeenDirectory {
    const std::string& path;  ///< relative to the root of the walk, which is ""
    int descriptor = -1;      ///< open for reading; -1 where it cannot be opened
    /// In any order; nullptr when the directory cannot be listed.
    const std::vector<SeenEntry>* entries = nullptr;
};

/// Both functions are called from several threads at the same time.
class TreeObserver {
  public:
    virtual ~TreeObserver() = default;
    /// Whether the beginning of the file `name` in the directory at `path` is of interest. To open
    /// it first and ask the open file for its attributes costs no more than to ask by its name.
    [[nodiscard]] virtual bool wants_head(std::string_view path, std::string_view name) const = 0;
    /// Called once for every directory.
    virtual void visit(const SeenDirectory& directory) = 0;
};

}  // namespace squenv
