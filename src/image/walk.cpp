// SPDX-License-Identifier: MIT
#include "image/walk.h"

#include <unordered_set>
#include <vector>

namespace squenv::image {

namespace {

/// Entries fetched at a time, so that a huge directory is never held as a whole.
constexpr std::size_t kBatch = 1024;

/// A directory whose children are being visited.
struct Level {
    std::size_t path_size;  ///< of its own path, the first part of the current one
    Inode directory;
    std::uint64_t next_entry = 0;
    std::size_t next_in_batch = 0;
    struct Child {
        std::string name;
        format::Reference inode;
        format::InodeType type;
    };
    std::vector<Child> batch{};
};

Status refill(const Image& image, Level& level) {
    level.batch.clear();
    level.next_in_batch = 0;
    const auto status = image.directories().visit(
        level.directory, level.next_entry, [&](std::uint64_t index, const DirectoryItem& item) {
            level.batch.push_back({std::string(item.name), item.inode, item.type});
            level.next_entry = index + 1;
            return level.batch.size() < kBatch;
        });
    if (!status) level.batch.clear();
    return status;
}

Result<Inode> read_child(const Image& image, const Level::Child& child) {
    SQUENV_TRY_ASSIGN(auto inode, image.inode(child.inode));
    if (inode.type != child.type)
        return fail(Errc::corrupt, "the inode is of another type than its entry says");
    return inode;
}

}  // namespace

void walk(const Image& image, const Inode& start, const WalkVisitor& visitor) {
    if (!visitor.enter("", start) || !start.is_directory()) return;
    std::unordered_set<std::uint64_t> entered{start.reference.raw()};
    // One path for all levels: kept per level, they grow with the square of the depth.
    std::string path;
    std::vector<Level> levels;
    levels.push_back({0, start});
    while (!levels.empty()) {
        Level& level = levels.back();
        path.resize(level.path_size);
        if (level.next_in_batch == level.batch.size()) {
            if (auto status = refill(image, level);
                !status && !visitor.failed(path, status.error()))
                return;
            if (level.batch.empty()) {
                if (visitor.leave) visitor.leave(path, level.directory);
                levels.pop_back();
                continue;
            }
        }
        const Level::Child& child = level.batch[level.next_in_batch++];
        if (!path.empty()) path += '/';
        path += child.name;
        auto inode = read_child(image, child);
        if (inode && inode->is_directory() && !entered.insert(inode->reference.raw()).second)
            inode = fail(Errc::corrupt, "a directory with two parents");
        if (!inode) {
            if (!visitor.failed(path, inode.error())) return;
            continue;
        }
        if (!visitor.enter(path, *inode)) return;
        if (inode->is_directory()) levels.push_back({path.size(), *inode});
    }
}

std::uint64_t unpacked_bytes(const Image& image) {
    constexpr std::uint64_t kObjectBytes = 4096;
    std::uint64_t bytes = 0;
    WalkVisitor visitor;
    visitor.enter = [&bytes](const std::string&, const Inode& inode) {
        bytes += kObjectBytes + (inode.is_file() ? inode.size_bytes : 0);
        return true;
    };
    visitor.failed = [](const std::string&, const Error&) { return true; };
    walk(image, image.root(), visitor);
    return bytes;
}

}  // namespace squenv::image
