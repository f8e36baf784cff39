// SPDX-License-Identifier: MIT
#include "pack/tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace squenv::pack {

namespace {
constexpr std::size_t kChunkSize = 64U << 10;
}

const char* TextArena::store(std::string_view text) {
    if (chunks_.empty() || capacity_ - used_ < text.size()) {
        capacity_ = std::max(kChunkSize, text.size());
        chunks_.push_back(std::make_unique_for_overwrite<char[]>(capacity_));
        used_ = 0;
    }
    char* place = chunks_.back().get() + used_;
    if (!text.empty()) std::memcpy(place, text.data(), text.size());
    used_ += text.size();
    return place;
}

void TextArena::adopt(TextArena&& other) {
    // The last chunk stays last: it is the one with room.
    if (chunks_.empty()) {
        *this = std::move(other);
    } else {
        chunks_.insert(chunks_.begin(), std::make_move_iterator(other.chunks_.begin()),
                       std::make_move_iterator(other.chunks_.end()));
    }
    other = TextArena{};
}

std::optional<format::InodeType> type_of(std::uint32_t mode) {
    using format::InodeType;
    switch (mode & S_IFMT) {
        case S_IFDIR: return InodeType::directory;
        case S_IFREG: return InodeType::file;
        case S_IFLNK: return InodeType::symlink;
        case S_IFBLK: return InodeType::block_device;
        case S_IFCHR: return InodeType::char_device;
        case S_IFIFO: return InodeType::fifo;
        case S_IFSOCK: return InodeType::socket;
        default: return std::nullopt;
    }
}

EntryId Tree::child_of(EntryId id, std::string_view name) const {
    const Node& directory = nodes[id];
    EntryId low = directory.first_child;
    EntryId high = directory.first_child + directory.child_count;
    if (directory.type != format::InodeType::directory || low == kNoEntry) return kNoEntry;
    while (low < high) {
        const EntryId middle = low + (high - low) / 2;
        if (nodes[middle].name_view() < name)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == directory.first_child + directory.child_count || nodes[low].name_view() != name)
        return kNoEntry;
    return low;
}

EntryId Tree::find(std::string_view path) const {
    EntryId at = kRootEntry;
    while (!path.empty() && at != kNoEntry) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), name.size() + 1));
        if (name.empty() || name == ".") continue;
        at = child_of(at, name);
    }
    return at;
}

std::string Tree::path_of(EntryId id) const {
    if (id == kRootEntry) return ".";
    std::vector<EntryId> steps;
    for (EntryId at = id; at != kRootEntry; at = nodes[at].parent) steps.push_back(at);
    std::string path;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        if (!path.empty()) path += '/';
        path += nodes[*step].name_view();
    }
    return path;
}

}  // namespace squenv::pack
