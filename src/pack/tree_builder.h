// SPDX-License-Identifier: MIT
// A tree made from paths in any order, for sources that are no file system.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pack/duplicates.h"
#include "pack/tree.h"

namespace squenv::pack {

/// Not thread-safe. Directories that are needed but were not added have mode 0755 and time 0. They
/// take about 40 bytes until build(): two bytes of a path are enough to need one.
class TreeBuilder {
  public:
    TreeBuilder();

    /// The entry at `path`, made when it is new. "", "." and "/" are the root; "./" before it and
    /// slashes at the end do not count. What becomes of an entry made twice is the caller's choice.
    /// Its name need not be set.
    /// Errors: invalid_argument (".." or a name that cannot exist, or a file used as directory),
    /// limit.
    [[nodiscard]] Result<Node*> at(std::string_view path);
    /// The entry at `path` if there is one.
    [[nodiscard]] const Node* find(std::string_view path) const;
    /// Where names and symlink targets go.
    [[nodiscard]] TextArena& text() { return text_; }

    /// The finished tree; the builder is empty afterwards. `devices` has one entry.
    [[nodiscard]] Tree build();

  private:
    using NameId = std::uint32_t;
    static constexpr NameId kNoName = 0xFFFFFFFF;
    static constexpr std::uint32_t kImplied = 0xFFFFFFFF;

    /// A name in the tree.
    struct Entry {
        const char* name = nullptr;  ///< in the arena, not terminated
        NameId parent = kNoName;
        std::uint32_t node = kImplied;  ///< index into nodes_; directories may have none
        std::uint8_t name_size = 0;

        [[nodiscard]] std::string_view name_view() const { return {name, name_size}; }
    };

    [[nodiscard]] bool is_directory(NameId entry) const;
    [[nodiscard]] Node node_of(NameId entry) const;
    /// Where the entry is in slots_, or where it would be.
    [[nodiscard]] std::size_t slot_of(NameId directory, std::string_view name) const;
    [[nodiscard]] Result<NameId> enter(NameId directory, std::string_view name);
    void grow();

    /// Of an archive that was made for it all names could fall on one slot; not with a seed.
    FileHasher hasher_;
    TextArena text_;
    std::deque<Entry> entries_;  ///< [0] is the root
    std::deque<Node> nodes_;
    std::vector<NameId> slots_;  ///< a power of two, at most half full; open addressing
};

}  // namespace squenv::pack
