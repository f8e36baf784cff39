// SPDX-License-Identifier: MIT
// Going through a directory tree. Private to this module.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace squenv::venv {

enum class Kind { file, directory, symlink, other };

struct WalkEntry {
    std::string name;
    Kind kind = Kind::other;
};

/// The entries of one directory, sorted by name; nothing when it cannot be read.
[[nodiscard]] std::optional<std::vector<WalkEntry>> list_directory(const std::string& path);

/// Visits every directory below and including `root`, with its path relative to it ("" for the
/// root itself) and its entries; those that cannot be read come with nothing. Several directories
/// are visited at the same time, from threads of their own, because on a network file system each
/// is a few round trips: `visit` is thread-safe.
void walk(const std::string& root,
          const std::function<void(const std::string& path,
                                   const std::optional<std::vector<WalkEntry>>& entries)>& visit);

/// The first `limit` bytes of a file, or nothing.
[[nodiscard]] std::optional<std::string> read_head(const std::string& path, std::size_t limit);

/// "a" and "b" -> "a/b"; an empty first part is left out.
[[nodiscard]] std::string join(const std::string& directory, const std::string& name);

}  // namespace squenv::venv
