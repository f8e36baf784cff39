// SPDX-License-Identifier: MIT
#include "pack/hot.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace squenv::pack {

namespace {

using format::InodeType;

std::string_view directory_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view(".") : path.substr(0, slash);
}

/// The directory whose listing `item` needs, or kNoNode.
NodeId directory_for(const Tree& tree, const HotItem& item) {
    const bool is_itself = item.kind == HotItem::Kind::directory || item.path == ".";
    const NodeId id = tree.find(is_itself ? std::string_view(item.path) : directory_of(item.path));
    if (id == kNoNode || !tree.is_packed(id) || tree.at(id).type != InodeType::directory)
        return kNoNode;
    return id;
}

/// The regular file behind `item`, or kNoNode.
NodeId file_for(const Tree& tree, const HotItem& item) {
    if (item.kind != HotItem::Kind::range) return kNoNode;
    const NodeId id = tree.find(item.path);
    if (id == kNoNode || !tree.is_packed(id)) return kNoNode;
    const NodeId inode = tree.inode_of(id);
    return tree.at(inode).type == InodeType::file ? inode : kNoNode;
}

}  // namespace

std::vector<NodeId> find_hot_files(const Tree& tree, const std::vector<HotItem>& items) {
    std::vector<NodeId> files;
    std::unordered_set<NodeId> seen;
    for (const HotItem& item : items) {
        const NodeId file = file_for(tree, item);
        if (file != kNoNode && seen.insert(file).second) files.push_back(file);
    }
    return files;
}

void mark_hot_directories(Tree& tree, const std::vector<HotItem>& items) {
    for (const HotItem& item : items) {
        NodeId id = directory_for(tree, item);
        while (id != kNoNode && !tree.at(id).is_hot) {
            tree.at(id).is_hot = true;
            id = tree.at(id).parent;
        }
    }
}

std::vector<appendix::HotItem> hot_list_of(const Tree& tree, const std::vector<HotItem>& items,
                                           const std::vector<std::uint64_t>& references) {
    using Kind = appendix::HotItem::Kind;
    std::vector<appendix::HotItem> list;
    std::unordered_set<NodeId> listed;
    for (const HotItem& item : items) {
        const NodeId directory = directory_for(tree, item);
        if (directory == kNoNode) continue;
        if (listed.insert(directory).second) {
            appendix::HotItem entry;
            entry.kind = Kind::directory;
            entry.path = tree.path_of(directory);
            list.push_back(std::move(entry));
        }
        if (item.kind == HotItem::Kind::missing && tree.find(item.path) == kNoNode) {
            appendix::HotItem entry;
            entry.kind = Kind::missing;
            entry.path = item.path;
            list.push_back(std::move(entry));
        }
        const NodeId file = file_for(tree, item);
        if (file == kNoNode || item.offset >= tree.at(file).size_bytes) continue;
        appendix::HotItem entry;
        entry.kind = Kind::range;
        entry.reference = references[tree.at(file).inode_number - 1];
        entry.offset = item.offset;
        entry.size_bytes = std::min(item.size_bytes, tree.at(file).size_bytes - item.offset);
        if (entry.size_bytes != 0) list.push_back(std::move(entry));
    }
    return list;
}

}  // namespace squenv::pack
