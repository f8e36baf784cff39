// SPDX-License-Identifier: MIT
#include "squenv/image.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

#include "format/posix.h"
#include "image/image.h"
#include "image/walk.h"

namespace squenv {

struct Image::Parts {
    std::unique_ptr<image::Image> image;
};

namespace {

using format::InodeType;

/// Runs `call`, which returns a Result, and keeps exceptions (out of memory) inside the library.
template <class Call>
auto guarded(const Call& call) -> Expected<typename decltype(call())::value_type> {
    try {
        auto result = call();
        if (!result) return std::move(result).error();
        if constexpr (std::is_void_v<typename decltype(call())::value_type>)
            return {};
        else
            return std::move(*result);
    } catch (const std::exception& exception) {
        return Error{Errc::limit, ENOMEM, exception.what(), {}};
    }
}

FileType type_of(InodeType type) {
    switch (type) {
        case InodeType::directory: return FileType::directory;
        case InodeType::file: return FileType::file;
        case InodeType::symlink: return FileType::symlink;
        case InodeType::block_device: return FileType::block_device;
        case InodeType::char_device: return FileType::char_device;
        case InodeType::fifo: return FileType::fifo;
        case InodeType::socket: return FileType::socket;
    }
    return FileType::file;
}

Stat stat_of(const image::Inode& inode) {
    Stat stat;
    stat.id.value = inode.reference.raw();
    stat.type = type_of(inode.type);
    stat.permissions = inode.mode;
    stat.uid = inode.uid;
    stat.gid = inode.gid;
    stat.mtime = inode.mtime;
    stat.link_count = inode.nlink;
    stat.inode_number = inode.number;
    stat.size_bytes = inode.size_bytes;
    if (inode.type == InodeType::block_device || inode.type == InodeType::char_device) {
        const dev_t device = format::decode_device(inode.device);
        stat.device_major = major(device);
        stat.device_minor = minor(device);
    }
    return stat;
}

Result<image::Inode> inode_of(const image::Image& image, NodeId id) {
    return image.inode(format::Reference::from_raw(id.value));
}

tl::unexpected<Error> wrong_type(const image::Inode& inode, int sys_errno) {
    return tl::unexpected(
        Error{Errc::invalid_argument, sys_errno, "inode " + std::to_string(inode.number), {}});
}

Result<image::Inode> directory_of(const image::Image& image, NodeId id) {
    SQUENV_TRY_ASSIGN(auto inode, inode_of(image, id));
    if (!inode.is_directory()) return wrong_type(inode, ENOTDIR);
    return inode;
}

Result<image::Inode> file_of(const image::Image& image, NodeId id) {
    SQUENV_TRY_ASSIGN(auto inode, inode_of(image, id));
    if (!inode.is_file()) return wrong_type(inode, inode.is_directory() ? EISDIR : EINVAL);
    return inode;
}

Result<std::size_t> read_file(const image::Image& image, NodeId id, std::uint64_t offset,
                              std::span<std::byte> out) {
    SQUENV_TRY_ASSIGN(const auto inode, file_of(image, id));
    // In steps, so that a large read does not hold all of its blocks decoded at once.
    constexpr std::size_t kStep = std::size_t{4} << 20;
    std::size_t done = 0;
    while (done < out.size() && offset < inode.size_bytes) {
        const auto part = out.subspan(done, std::min(kStep, out.size() - done));
        SQUENV_TRY_ASSIGN(const auto slices, image.data().read(inode, offset, part.size()));
        std::size_t filled = 0;
        for (const image::DataSlice& slice : slices) {
            if (slice.bytes.size() > part.size() - filled)
                return fail(Errc::internal, "a read of more than was asked for");
            if (slice.bytes.empty()) continue;
            std::memcpy(part.data() + filled, slice.bytes.data(), slice.bytes.size());
            filled += slice.bytes.size();
        }
        if (filled == 0) break;
        done += filled;
        offset += filled;
    }
    return done;
}

Result<std::vector<DirectoryEntry>> list_directory(const image::Image& image, NodeId id,
                                                   std::uint64_t first, std::size_t count) {
    SQUENV_TRY_ASSIGN(const auto inode, directory_of(image, id));
    std::vector<DirectoryEntry> entries;
    if (count == 0) return entries;
    SQUENV_TRY(image.directories().visit(inode, first,
                                         [&](std::uint64_t, const image::DirectoryItem& item) {
                                             entries.push_back({std::string(item.name),
                                                                {item.inode.raw()},
                                                                type_of(item.type),
                                                                item.inode_number});
                                             return entries.size() < count;
                                         }));
    return entries;
}

Status walk_tree(const image::Image& image, NodeId start, const WalkVisitor& visitor) {
    SQUENV_TRY_ASSIGN(const auto inode, inode_of(image, start));
    std::optional<Error> first_error;
    image::WalkVisitor inner;
    inner.enter = [&](const std::string& path, const image::Inode& found) {
        return visitor.visit(path, stat_of(found));
    };
    inner.failed = [&](const std::string& path, const Error& error) {
        if (visitor.failed) return visitor.failed(path, error);
        first_error = with_context(error, path).value();
        return false;
    };
    image::walk(image, inode, inner);
    if (first_error) return tl::unexpected(std::move(*first_error));
    return {};
}

Result<std::optional<std::uint64_t>> seek(const image::Image& image, NodeId id,
                                          std::uint64_t offset, image::FileData::Seek what) {
    SQUENV_TRY_ASSIGN(const auto inode, file_of(image, id));
    return image.data().seek(inode, offset, what);
}

}  // namespace

Image::Image(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {
}
Image::Image(Image&& other) noexcept = default;
Image& Image::operator=(Image&& other) noexcept = default;
Image::~Image() = default;

Expected<Image> Image::open(const std::string& path, const ImageOptions& options) {
    auto parts = guarded([&]() -> Result<std::unique_ptr<Parts>> {
        image::OpenOptions inner;
        inner.offset = options.offset;
        inner.find_offset = options.finds_offset;
        inner.cache_bytes = options.cache_bytes;
        auto made = std::make_unique<Parts>();
        SQUENV_TRY_ASSIGN(made->image, image::Image::open(path, inner));
        return made;
    });
    if (!parts) return std::move(parts).error();
    return Image(std::move(*parts));
}

std::uint64_t Image::offset() const noexcept {
    return parts_->image->offset();
}
std::uint64_t Image::size_bytes() const noexcept {
    return parts_->image->superblock().bytes_used;
}
std::uint32_t Image::block_size() const noexcept {
    return parts_->image->superblock().block_size;
}
std::uint32_t Image::inode_count() const noexcept {
    return parts_->image->superblock().inode_count;
}
std::int64_t Image::created() const noexcept {
    return parts_->image->superblock().mkfs_time;
}
std::string Image::codec() const {
    return std::string(format::compressor_name(parts_->image->superblock().compressor));
}
bool Image::has_changed() const {
    return parts_->image->has_changed();
}
NodeId Image::root() const noexcept {
    return {parts_->image->root().reference.raw()};
}

Expected<Stat> Image::stat(std::string_view path) const {
    return guarded([&]() -> Result<Stat> {
        SQUENV_TRY_ASSIGN(const auto inode, parts_->image->resolve(path));
        return stat_of(inode);
    });
}

Expected<Stat> Image::stat(NodeId id) const {
    return guarded([&]() -> Result<Stat> {
        SQUENV_TRY_ASSIGN(const auto inode, inode_of(*parts_->image, id));
        return stat_of(inode);
    });
}

Expected<std::optional<Stat>> Image::find(NodeId directory, std::string_view name) const {
    return guarded([&]() -> Result<std::optional<Stat>> {
        SQUENV_TRY_ASSIGN(const auto inode, directory_of(*parts_->image, directory));
        SQUENV_TRY_ASSIGN(const auto found, parts_->image->lookup(inode, name));
        return found ? std::optional(stat_of(*found)) : std::nullopt;
    });
}

Expected<std::vector<DirectoryEntry>> Image::list(NodeId directory) const {
    return list(directory, 0, ~std::size_t{0});
}

Expected<std::vector<DirectoryEntry>> Image::list(NodeId directory, std::uint64_t first,
                                                  std::size_t count) const {
    return guarded([&] { return list_directory(*parts_->image, directory, first, count); });
}

Expected<std::size_t> Image::read(NodeId file, std::uint64_t offset,
                                  std::span<std::byte> out) const {
    return guarded([&] { return read_file(*parts_->image, file, offset, out); });
}

Expected<std::optional<std::uint64_t>> Image::next_data(NodeId file, std::uint64_t offset) const {
    return guarded([&] { return seek(*parts_->image, file, offset, image::FileData::Seek::data); });
}

Expected<std::optional<std::uint64_t>> Image::next_hole(NodeId file, std::uint64_t offset) const {
    return guarded([&] { return seek(*parts_->image, file, offset, image::FileData::Seek::hole); });
}

Expected<std::string> Image::read_link(NodeId symlink) const {
    return guarded([&]() -> Result<std::string> {
        SQUENV_TRY_ASSIGN(const auto inode, inode_of(*parts_->image, symlink));
        if (!inode.is_symlink()) return wrong_type(inode, EINVAL);
        return parts_->image->read_link(inode);
    });
}

Expected<std::vector<std::string>> Image::xattr_names(NodeId id) const {
    return guarded([&]() -> Result<std::vector<std::string>> {
        SQUENV_TRY_ASSIGN(const auto inode, inode_of(*parts_->image, id));
        return parts_->image->xattrs().names(inode);
    });
}

Expected<std::optional<std::string>> Image::xattr(NodeId id, const std::string& name) const {
    return guarded([&]() -> Result<std::optional<std::string>> {
        SQUENV_TRY_ASSIGN(const auto inode, inode_of(*parts_->image, id));
        SQUENV_TRY_ASSIGN(const auto value, parts_->image->xattrs().value(inode, name));
        return value ? std::optional(std::string(as_text(*value))) : std::nullopt;
    });
}

Expected<void> Image::walk(NodeId start, const WalkVisitor& visitor) const {
    return guarded([&] { return walk_tree(*parts_->image, start, visitor); });
}

}  // namespace squenv
