// SPDX-License-Identifier: MIT
// Names and beginnings of files. Private to this module.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "venv/file_tree.h"

namespace squenv::venv {

/// The entries of one directory, sorted by name; nothing when it cannot be read.
[[nodiscard]] std::optional<std::vector<FileEntry>> list_directory(const std::string& path);

/// The first `limit` bytes of a file, or nothing.
[[nodiscard]] std::optional<std::string> read_head(const std::string& path, std::size_t limit);

/// "a" and "b" -> "a/b"; an empty first part is left out.
[[nodiscard]] std::string join(const std::string& directory, const std::string& name);

}  // namespace squenv::venv
