// SPDX-License-Identifier: MIT
#include "diff/image_tree.h"

#include <algorithm>

namespace squenv::diff {

namespace {

venv::Kind kind_of(format::InodeType type) {
    switch (type) {
        case format::InodeType::directory: return venv::Kind::directory;
        case format::InodeType::file: return venv::Kind::file;
        case format::InodeType::symlink: return venv::Kind::symlink;
        default: return venv::Kind::other;
    }
}

}  // namespace

Result<std::optional<image::Inode>> ImageTree::find(const std::string& path) const {
    auto inode = image_.resolve(directory_ + '/' + path);
    if (inode) return std::optional(*inode);
    if (inode.error().code == Errc::not_found) return std::optional<image::Inode>();
    return with_context(std::move(inode).error(), path);
}

Result<std::vector<venv::FileEntry>> ImageTree::list(const std::string& path) const {
    SQUENV_TRY_ASSIGN(const auto directory, find(path));
    std::vector<venv::FileEntry> entries;
    if (!directory || !directory->is_directory()) return entries;
    const auto status = image_.directories().visit(
        *directory, 0, [&](std::uint64_t /*index*/, const image::DirectoryItem& item) {
            entries.push_back({std::string(item.name), kind_of(item.type)});
            return true;
        });
    if (!status) return with_context(status.error(), path);
    std::sort(entries.begin(), entries.end(),
              [](const venv::FileEntry& a, const venv::FileEntry& b) { return a.name < b.name; });
    return entries;
}

Result<std::string> ImageTree::read(const std::string& path, std::size_t limit) const {
    SQUENV_TRY_ASSIGN(const auto file, find(path));
    if (!file || !file->is_file()) return std::string();
    const auto slices = image_.data().read(*file, 0, limit);
    if (!slices) return with_context(slices.error(), path);
    std::string text;
    for (const auto& slice : *slices) text += as_text(slice.bytes);
    return text;
}

Result<std::string> ImageTree::link(const std::string& path) const {
    SQUENV_TRY_ASSIGN(const auto symlink, find(path));
    if (!symlink || !symlink->is_symlink()) return std::string();
    auto target = image_.read_link(*symlink);
    if (!target) return with_context(std::move(target).error(), path);
    return std::move(*target);
}

}  // namespace squenv::diff
