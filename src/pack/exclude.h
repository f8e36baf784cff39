// SPDX-License-Identifier: MIT
// Which paths stay out of the image: patterns with the meaning they have in a .gitignore file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace squenv::pack {

/// Immutable after construction; matching is thread-safe.
///
/// A pattern without a slash matches a name at any depth; one with a slash at its start or inside
/// is relative to the tree. A slash at the end restricts it to directories, "**" stands for any
/// number of directories, "!" takes back what earlier patterns excluded. The last match decides.
class ExcludeList {
  public:
    explicit ExcludeList(const std::vector<std::string>& patterns);

    [[nodiscard]] bool empty() const { return rules_.empty(); }
    /// `path` is relative to the tree, without "./". A directory that is excluded takes everything
    /// inside it along, so callers do not ask for what is inside.
    [[nodiscard]] bool matches(const std::string& path, bool is_directory) const;
    /// The same for sources that name what is inside without its directories: whether `path` or a
    /// directory above it is excluded. The cost grows with the length of the path, not faster.
    [[nodiscard]] bool covers(std::string_view path, bool is_directory) const;

  private:
    struct Rule {
        std::vector<std::string> segments;
        bool is_negated = false;
        bool is_directory_only = false;
    };
    [[nodiscard]] bool decide(std::string_view path, bool is_directory, bool looks_above) const;

    std::vector<Rule> rules_;
};

/// The lines of a pattern file. Errors: not_found, denied, io.
[[nodiscard]] Result<std::vector<std::string>> read_exclude_file(const std::string& path);

}  // namespace squenv::pack
