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

/// The directory whose listing `item` needs, or kNoEntry.
EntryId directory_for(const Tree& tree, const Touch& item) {
    const bool is_itself = item.use == Touch::Use::list || item.path == ".";
    const EntryId id = tree.find(is_itself ? std::string_view(item.path) : directory_of(item.path));
    if (id == kNoEntry || !tree.is_packed(id) || tree.at(id).type != InodeType::directory)
        return kNoEntry;
    return id;
}

/// The regular file that `item` reads, or kNoEntry.
EntryId file_for(const Tree& tree, const Touch& item) {
    if (item.use != Touch::Use::read) return kNoEntry;
    const EntryId id = tree.find(item.path);
    if (id == kNoEntry || !tree.is_packed(id)) return kNoEntry;
    const EntryId inode = tree.inode_of(id);
    return tree.at(inode).type == InodeType::file ? inode : kNoEntry;
}

}  // namespace

std::vector<EntryId> find_hot_files(const Tree& tree, const std::vector<Touch>& items) {
    std::vector<EntryId> files;
    std::unordered_set<EntryId> seen;
    for (const Touch& item : items) {
        const EntryId file = file_for(tree, item);
        if (file != kNoEntry && seen.insert(file).second) files.push_back(file);
    }
    return files;
}

void mark_hot_directories(Tree& tree, const std::vector<Touch>& items) {
    for (const Touch& item : items) {
        EntryId id = directory_for(tree, item);
        while (id != kNoEntry && !tree.at(id).is_hot) {
            tree.at(id).is_hot = true;
            id = tree.at(id).parent;
        }
    }
}

std::vector<appendix::HotItem> hot_list_of(const Tree& tree, const std::vector<Touch>& items,
                                           const std::vector<std::uint64_t>& references) {
    using Kind = appendix::HotItem::Kind;
    std::vector<appendix::HotItem> list;
    std::unordered_set<EntryId> listed;
    for (const Touch& item : items) {
        const EntryId directory = directory_for(tree, item);
        if (directory == kNoEntry) continue;
        if (listed.insert(directory).second) {
            appendix::HotItem entry;
            entry.kind = Kind::directory;
            entry.path = tree.path_of(directory);
            list.push_back(std::move(entry));
        }
        if (item.use == Touch::Use::miss && tree.find(item.path) == kNoEntry) {
            appendix::HotItem entry;
            entry.kind = Kind::missing;
            entry.path = item.path;
            list.push_back(std::move(entry));
        }
        const EntryId file = file_for(tree, item);
        if (file == kNoEntry || item.offset >= tree.at(file).size_bytes) continue;
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
