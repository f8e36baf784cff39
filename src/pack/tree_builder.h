// SPDX-License-Identifier: MIT
// A tree made from paths in any order, for sources that are no file system.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pack/tree.h"

namespace squenv::pack {

/// Not thread-safe. Directories that are needed but were not added have mode 0755 and time 0.
class TreeBuilder {
  public:
    TreeBuilder();

    /// The entry at `path`, made when it is new. "", "." and "/" are the root; "./" in front and
    /// slashes at the end do not count. What becomes of an entry made twice is the caller's choice.
    /// The reference holds until the next call.
    /// Errors: invalid_argument (".." or a name that cannot exist, or a file used as directory).
    [[nodiscard]] Result<Node*> at(std::string_view path);
    /// The entry at `path` if there is one.
    [[nodiscard]] const Node* find(std::string_view path) const;
    /// Where names and symlink targets go.
    [[nodiscard]] TextArena& text() { return text_; }

    /// The finished tree; the builder is empty afterwards. `devices` has one entry.
    [[nodiscard]] Tree build();

  private:
    struct Entry {
        Node node;
        std::map<std::string, std::size_t, std::less<>> children;
    };
    TextArena text_;
    std::deque<Entry> entries_;  ///< [0] is the root
};

}  // namespace squenv::pack
