// SPDX-License-Identifier: MIT
#include "pack/order.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "pack/file_kind.h"

namespace squenv::pack {

namespace {

using format::InodeType;

/// Every directory before those inside it, siblings by name.
template <class Visit>
void for_each_directory_in_path_order(const Tree& tree, Visit&& visit) {
    std::vector<EntryId> stack{kRootEntry};
    while (!stack.empty()) {
        const EntryId id = stack.back();
        stack.pop_back();
        visit(id);
        const Node& directory = tree.at(id);
        for (std::uint32_t i = directory.child_count; i-- > 0;) {
            const Node& child = tree.at(directory.first_child + i);
            if (child.type == InodeType::directory && !child.is_left_out)
                stack.push_back(directory.first_child + i);
        }
    }
}

struct InodeKey {
    std::uint64_t inode;
    std::uint32_t device;
    /// A number may be given to another file while the tree is listed.
    std::uint64_t ctime_ns;
    bool operator==(const InodeKey&) const = default;
};
struct InodeHash {
    std::size_t operator()(const InodeKey& key) const {
        return std::hash<std::uint64_t>{}(key.inode * 0x9E3779B97F4A7C15ULL + key.device);
    }
};

}  // namespace

void resolve_hard_links(Tree& tree) {
    std::unordered_map<InodeKey, EntryId, InodeHash> first;
    for_each_directory_in_path_order(tree, [&](EntryId id) {
        const Node directory = tree.at(id);
        for (std::uint32_t i = 0; i < directory.child_count; ++i) {
            const EntryId child = directory.first_child + i;
            Node& node = tree.at(child);
            if (!node.is_hard_linked || node.is_left_out) continue;
            const InodeKey key{node.source_inode, node.source_device, node.ctime_ns};
            const auto [place, is_new] = first.emplace(key, child);
            if (!is_new) node.same_inode_as = place->second;
        }
    });
}

std::vector<EntryId> order_files(const Tree& tree, const std::vector<EntryId>& hot) {
    const std::unordered_set<EntryId> is_hot(hot.begin(), hot.end());
    std::array<std::vector<EntryId>, kFileKinds> kinds;
    for_each_directory_in_path_order(tree, [&](EntryId id) {
        const Node& directory = tree.at(id);
        std::array<std::size_t, kFileKinds> begins{};
        for (std::size_t kind = 0; kind < kFileKinds; ++kind) begins[kind] = kinds[kind].size();
        for (std::uint32_t i = 0; i < directory.child_count; ++i) {
            const EntryId child = directory.first_child + i;
            const Node& node = tree.at(child);
            if (node.type != InodeType::file || node.is_left_out ||
                node.same_inode_as != kNoEntry || is_hot.contains(child))
                continue;
            kinds[static_cast<std::size_t>(kind_of(node.name_view()))].push_back(child);
        }
        for (std::size_t kind = 0; kind < kFileKinds; ++kind)
            std::stable_sort(kinds[kind].begin() + static_cast<std::ptrdiff_t>(begins[kind]),
                             kinds[kind].end(), [&](EntryId a, EntryId b) {
                                 return extension_of(tree.at(a).name_view()) <
                                        extension_of(tree.at(b).name_view());
                             });
    });
    std::vector<EntryId> files = hot;
    for (auto& kind : kinds) {
        files.insert(files.end(), kind.begin(), kind.end());
        kind = {};
    }
    return files;
}

}  // namespace squenv::pack
