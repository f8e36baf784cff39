// SPDX-License-Identifier: MIT
#include "diff/image_tree.h"

#include <algorithm>
#include <optional>

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

/// Nothing when no such name is there.
Result<std::optional<image::Inode>> find(const image::Image& image, const std::string& path) {
    auto inode = image.resolve(path);
    if (inode) return std::optional(std::move(*inode));
    if (inode.error().code == Errc::not_found) return std::optional<image::Inode>();
    return with_context(std::move(inode).error(), path);
}

}  // namespace

Result<std::vector<venv::FileEntry>> ImageTree::list(const std::string& path) const {
    SQUENV_TRY_ASSIGN(const auto directory, find(image_, path));
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
    SQUENV_TRY_ASSIGN(const auto file, find(image_, path));
    if (!file || !file->is_file()) return std::string();
    const auto slices = image_.data().read(*file, 0, limit);
    if (!slices) return with_context(slices.error(), path);
    std::string text;
    for (const auto& slice : *slices) text += as_text(slice.bytes);
    return text;
}

}  // namespace squenv::diff
