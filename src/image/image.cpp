// SPDX-License-Identifier: MIT
#include "image/image.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/little_endian.h"
#include "format/tables.h"
#include "image/image_parts.h"

namespace squenv::image {

namespace {

appendix::ReadExact reader_of(const ByteSource& source) {
    return [&source](std::uint64_t position, MutableBytes out) {
        return source.read_exact(position, out);
    };
}

}  // namespace

Image::Image(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
}
Image::~Image() = default;

const format::Superblock& Image::superblock() const {
    return parts_->superblock;
}
const std::string& Image::compressor_options() const {
    return parts_->compressor_options;
}
std::uint64_t Image::offset() const {
    return parts_->offset;
}
bool Image::is_streamed() const {
    return parts_->superblock_position != 0;
}
const Inode& Image::root() const {
    return parts_->root;
}
const Directories& Image::directories() const {
    return *parts_->directories;
}
const FileData& Image::data() const {
    return *parts_->data;
}
const Xattrs& Image::xattrs() const {
    return parts_->xattrs;
}
const ByteSource& Image::source() const {
    return *parts_->source;
}
const std::vector<std::uint32_t>& Image::ids() const {
    return parts_->ids;
}

Result<Inode> Image::inode(const format::Reference& reference) const {
    return parts_->inode(reference);
}

Result<std::optional<Inode>> Image::lookup(const Inode& directory, std::string_view name) const {
    if (name.size() > format::kMaxName) return std::nullopt;
    SQUENV_TRY_ASSIGN(const auto found, parts_->directories->find(directory, name));
    if (!found) return std::nullopt;
    SQUENV_TRY_ASSIGN(auto inode, parts_->inode(found->first));
    if (inode.type != found->second)
        return fail(Errc::corrupt,
                    fmt::format("inode {} is of another type than its entry says", inode.number));
    return inode;
}

Result<Inode> Image::resolve(std::string_view path) const {
    Inode current = parts_->root;
    std::size_t start = 0;
    while (start < path.size()) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const auto name = path.substr(start, end - start);
        start = end + 1;
        if (name.empty() || name == ".") continue;
        if (!current.is_directory())
            return fail(Errc::not_found, fmt::format("{}: '{}' is not in a directory", path, name));
        SQUENV_TRY_ASSIGN(auto next, lookup(current, name));
        if (!next)
            return fail(Errc::not_found, fmt::format("{}: no such file in the image", path),
                        "'squenv ls' shows what there is");
        current = *next;
    }
    return current;
}

std::optional<Inode> Image::next_in_table(const Inode& inode) const {
    MetadataCursor cursor(*parts_->metadata, parts_->inode_region);
    if (!cursor.seek(inode.payload)) return std::nullopt;
    std::uint64_t payload_bytes = 0;
    if (inode.is_file())
        payload_bytes = 4 * inode.block_count(parts_->superblock.block_size);
    else if (inode.is_symlink())
        payload_bytes = inode.size_bytes + (inode.is_extended ? 4 : 0);
    if (payload_bytes > format::kMetadataSize || !cursor.skip(payload_bytes)) return std::nullopt;
    for (unsigned i = 0; i < inode.index_count; ++i) {
        std::array<std::byte, format::kDirectoryIndexSize> raw;
        if (!cursor.read(raw) || !cursor.skip(format::directory_index_name_size(raw)))
            return std::nullopt;
    }
    auto next = parts_->inode(cursor.reference());
    if (!next) return std::nullopt;
    return *next;
}

Result<format::Reference> Image::exported(std::uint32_t number) const {
    if (!parts_->export_table || number == 0 || number > parts_->superblock.inode_count)
        return fail(Errc::not_found, fmt::format("inode {} is not exported", number));
    Le64 raw;
    SQUENV_TRY(
        parts_->export_table->record(number - 1, std::as_writable_bytes(std::span(&raw, 1))));
    return format::Reference::from_raw(raw);
}

Result<std::string> Image::read_link(const Inode& symlink) const {
    if (!symlink.is_symlink())
        return fail(Errc::invalid_argument,
                    fmt::format("inode {} is not a symlink", symlink.number));
    MetadataCursor cursor(*parts_->metadata, parts_->inode_region);
    SQUENV_TRY(cursor.seek(symlink.payload));
    std::string target(static_cast<std::size_t>(symlink.size_bytes), '\0');
    SQUENV_TRY(cursor.read(std::as_writable_bytes(std::span(target))));
    if (target.find('\0') != std::string::npos)
        return fail(Errc::corrupt,
                    fmt::format("inode {}: symlink target with a NUL", symlink.number));
    return target;
}

void Image::keep_tables(std::size_t most_bytes) const {
    const auto& sb = parts_->superblock;
    // Every writer puts the tables after the data, the inode table first.
    if (sb.inode_table_start >= sb.bytes_used || sb.bytes_used - sb.inode_table_start > most_bytes)
        return;
    parts_->source->keep(sb.inode_table_start,
                         static_cast<std::size_t>(sb.bytes_used - sb.inode_table_start));
}

ImageCounters Image::counters() const {
    return {parts_->source->counters(), parts_->metadata->counters(),
            parts_->directories->counters(), parts_->blocks->counters()};
}

bool Image::has_changed() const {
    if (parts_->source->has_changed()) return true;
    std::array<std::byte, format::kSuperblockSize> now;
    return !parts_->source->read_anew(parts_->superblock_position, now) ||
           now != parts_->raw_superblock;
}

Result<std::optional<appendix::Appendix>> Image::appendix() const {
    return appendix::load(parts_->superblock.bytes_used, parts_->source->size_bytes(),
                          reader_of(*parts_->source));
}

Result<std::optional<appendix::Manifest>> Image::manifest() const {
    return appendix::load_manifest(parts_->superblock.bytes_used, parts_->source->size_bytes(),
                                   reader_of(*parts_->source));
}

Result<std::vector<appendix::HotItem>> Image::hot_list() const {
    return appendix::load_hot_list(parts_->superblock.bytes_used, parts_->source->size_bytes(),
                                   reader_of(*parts_->source));
}

}  // namespace squenv::image
