// SPDX-License-Identifier: MIT
// The tree to be packed, as a source described it: one compact record per inode or link, so that a
// million files stay far below the memory of one buffer pool. Knows nothing of the image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/inode.h"

namespace squenv::pack {

/// Index of an entry in Tree::nodes.
using EntryId = std::uint32_t;
inline constexpr EntryId kNoEntry = 0xFFFFFFFF;
inline constexpr EntryId kRootEntry = 0;
inline constexpr std::uint32_t kNoXattrs = 0xFFFFFFFF;
inline constexpr std::uint32_t kNoContent = 0xFFFFFFFF;

/// Text that lives as long as the arena; nothing is freed alone. Not thread-safe.
class TextArena {
  public:
    [[nodiscard]] const char* store(std::string_view text);
    /// Takes over what `other` holds.
    void adopt(TextArena&& other);

  private:
    std::vector<std::unique_ptr<char[]>> chunks_;
    std::size_t used_ = 0;
    std::size_t capacity_ = 0;  ///< of the last chunk
};

/// One directory entry. The children of a directory follow each other, sorted by name.
struct Node {
    const char* name = nullptr;    ///< in the tree's arena, not terminated
    const char* target = nullptr;  ///< symlinks, `size_bytes` long
    std::uint64_t size_bytes = 0;  ///< files and symlinks
    std::uint64_t source_inode = 0;
    std::int64_t mtime_seconds = 0;
    /// When the inode changed, in nanoseconds modulo 2^64, to be compared; 0 where none is known.
    std::uint64_t ctime_ns = 0;
    std::uint32_t mtime_nanoseconds = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t source_device = 0;  ///< index into Tree::devices
    std::uint32_t device = 0;         ///< device files: as format::encode_device() has it
    EntryId parent = kNoEntry;
    EntryId first_child = kNoEntry;
    std::uint32_t child_count = 0;
    EntryId same_inode_as = kNoEntry;    ///< hard links: the entry that stands for the inode
    std::uint32_t xattrs = kNoXattrs;    ///< index into the xattr sets
    std::uint32_t content = kNoContent;  ///< regular files: index into the contents
    std::uint32_t inode_number = 0;      ///< given by the tables pass
    std::uint32_t link_count = 0;        ///< entries in the image; given by the tables pass
    std::uint16_t mode = 0;              ///< permission bits
    format::InodeType type = format::InodeType::file;
    std::uint8_t name_size = 0;
    bool has_holes = false;       ///< fewer bytes are allocated than the size says
    bool is_hard_linked = false;  ///< the source counts several links
    bool is_overlay = false;      ///< directories on disk: of the tree that lies over the other
    bool is_left_out = false;
    bool is_hot = false;  ///< directories: something hot is in it or below it

    [[nodiscard]] std::string_view name_view() const { return {name, name_size}; }
};

/// Filled by one source, then changed only by the passes, one after the other.
struct Tree {
    std::deque<Node> nodes;  ///< [0] is the root; a deque does not copy a million nodes to grow
    std::vector<std::uint64_t> devices;
    TextArena text;

    [[nodiscard]] Node& at(EntryId id) { return nodes[id]; }
    [[nodiscard]] const Node& at(EntryId id) const { return nodes[id]; }
    /// "lib/python3.11/os.py"; "." for the root.
    [[nodiscard]] std::string path_of(EntryId id) const;
    /// The entry called `name` of a directory, or kNoEntry.
    [[nodiscard]] EntryId child_of(EntryId directory, std::string_view name) const;
    /// The entry at `path` ("lib/os.py", "." is the root), or kNoEntry.
    [[nodiscard]] EntryId find(std::string_view path) const;
    /// The entry that carries the inode: `id`, or the one it is a hard link to.
    [[nodiscard]] EntryId inode_of(EntryId id) const {
        return nodes[id].same_inode_as == kNoEntry ? id : nodes[id].same_inode_as;
    }
    /// False for what could not be read, by whatever name it was met.
    [[nodiscard]] bool is_packed(EntryId id) const {
        return !nodes[id].is_left_out && !nodes[inode_of(id)].is_left_out;
    }
};

/// The type that the S_IFMT bits of a mode mean; nothing for what squashfs does not know.
[[nodiscard]] std::optional<format::InodeType> type_of(std::uint32_t mode);

/// Visits the directories below and including the root, every directory after all directories
/// inside it; those left out are skipped. No recursion: depth costs heap, not stack.
template <class Visit>
void for_each_directory_children_first(const Tree& tree, Visit&& visit) {
    struct Level {
        EntryId directory;
        std::uint32_t next_child;
    };
    std::vector<Level> levels{{kRootEntry, 0}};
    while (!levels.empty()) {
        Level& top = levels.back();
        const Node& directory = tree.at(top.directory);
        if (top.next_child == directory.child_count) {
            const EntryId done = top.directory;
            levels.pop_back();
            visit(done);
            continue;
        }
        const EntryId child = directory.first_child + top.next_child++;
        const Node& node = tree.at(child);
        if (node.type == format::InodeType::directory && !node.is_left_out)
            levels.push_back({child, 0});
    }
}

/// The same in the order in which their tables are written: those that are not hot first, so that
/// the hot ones lie together. A hot directory has only hot ones above it.
template <class Visit>
void for_each_directory_in_table_order(const Tree& tree, Visit&& visit) {
    for (const bool is_hot : {false, true}) {
        if (is_hot && !tree.at(kRootEntry).is_hot) break;
        for_each_directory_children_first(tree, [&](EntryId id) {
            if (tree.at(id).is_hot == is_hot) visit(id);
        });
    }
}

}  // namespace squenv::pack
