// SPDX-License-Identifier: MIT
// Opens an image: a handful of reads, whatever its size.
#include <fmt/core.h>

#include <algorithm>

#include "base/checked.h"
#include "base/little_endian.h"
#include "format/metadata_header.h"
#include "format/tables.h"
#include "image/image_parts.h"
#include "image/locate.h"

namespace squenv::image {

namespace {

/// Shares of the cache budget, in sixteenths: directories are small and needed most often.
constexpr std::size_t kDirectoryShare = 2;
constexpr std::size_t kMetadataShare = 4;
constexpr std::size_t kBlockShare = 10;
/// Checkpoints of long files: 24 bytes per 256 blocks.
constexpr std::size_t kBlockListBytes = 1 << 20;
/// The longest option block of any tool has 12 bytes.
constexpr std::size_t kMaxOptionBytes = 64;

}  // namespace

Status Image::Parts::open(const OpenOptions& options) {
    SQUENV_TRY(read_superblock());
    SQUENV_TRY_ASSIGN(decompressor, codec::make_decompressor(superblock.compressor));
    SQUENV_TRY(read_compressor_options());
    metadata = std::make_unique<MetadataStore>(*source, *decompressor,
                                               options.cache_bytes / 16 * kMetadataShare);
    inode_region = {superblock.inode_table_start, superblock.directory_table_start};
    SQUENV_TRY(open_tables());
    SQUENV_TRY(open_xattrs());
    SQUENV_TRY(read_ids());
    make_readers(options.cache_bytes);
    auto root_inode = inode(superblock.root_inode);
    if (!root_inode) return with_context(root_inode.error(), "root directory");
    if (!root_inode->is_directory()) return fail(Errc::corrupt, "the root is not a directory");
    root = *root_inode;
    return {};
}

/// One read for the superblock and the options that follow it.
Status Image::Parts::read_head() {
    constexpr std::size_t kMost =
        format::kSuperblockSize + format::kMetadataHeaderSize + kMaxOptionBytes;
    head.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kMost, source->size_bytes())));
    SQUENV_TRY(source->read_exact(0, head));
    std::copy_n(head.begin(), raw_superblock.size(), raw_superblock.begin());
    return {};
}

Status Image::Parts::read_superblock() {
    const std::uint64_t size = source->size_bytes();
    if (size < format::kSuperblockSize)
        return fail(Errc::unsupported, "not a squashfs image: shorter than a superblock",
                    "make one with 'squenv pack' or mksquashfs");
    SQUENV_TRY(read_head());
    if (format::magic_of(raw_superblock) == format::kStreamedMagic) {
        superblock_position = size - format::kSuperblockSize;
        SQUENV_TRY(source->read_exact(superblock_position, raw_superblock));
    }
    auto parsed = format::parse_superblock(raw_superblock, size);
    if (!parsed) {
        Error error = parsed.error();
        if (const auto container = describe_container(*source); !container.empty())
            error.hint = fmt::format("it is {}: add offset=auto", container);
        return tl::unexpected(std::move(error));
    }
    superblock = *parsed;
    return {};
}

Status Image::Parts::read_compressor_options() {
    if ((superblock.flags & format::kFlagCompressorOptions) == 0) {
        if (superblock.compressor == format::CompressorId::lz4)
            return fail(Errc::corrupt, "lz4 image without compressor options");
        return {};
    }
    const auto missing = [] {
        return fail(Errc::corrupt, "compressor options are missing though announced");
    };
    const ByteView stored = ByteView(head).subspan(format::kSuperblockSize);
    if (stored.size() < format::kMetadataHeaderSize) return missing();
    const auto header = format::parse_metadata_header(load<Le16>(stored));
    if (!header || header->is_compressed || header->size_bytes > kMaxOptionBytes) return missing();
    const ByteView payload = stored.subspan(format::kMetadataHeaderSize);
    if (payload.size() < header->size_bytes) return missing();
    SQUENV_TRY_ASSIGN(compressor_options,
                      format::describe_compressor_options(superblock.compressor,
                                                          payload.first(header->size_bytes)));
    return {};
}

Status Image::Parts::open_tables() {
    const auto table = [&](std::uint64_t start, std::uint64_t count, std::size_t record_size) {
        return std::make_unique<LookupTable>(*source, *metadata,
                                             LookupTable::Layout{start, count, record_size});
    };
    fragments = table(superblock.fragment_table_start, superblock.fragment_count,
                      format::kFragmentRecordSize);
    if (superblock.fragment_count != 0) SQUENV_TRY(fragments->preload());
    // Used by number only, which is rare: its list stays on disk.
    if (superblock.has_export_table())
        export_table =
            table(superblock.export_table_start, superblock.inode_count, format::kExportRecordSize);
    return {};
}

Status Image::Parts::open_xattrs() {
    if (!superblock.has_xattrs()) return {};
    std::array<std::byte, format::kXattrHeaderSize> raw;
    SQUENV_TRY(source->read_exact(superblock.xattr_table_start, raw));
    SQUENV_TRY_ASSIGN(const auto header, format::parse_xattr_header(raw, superblock));
    xattr_sets = std::make_unique<LookupTable>(
        *source, *metadata,
        LookupTable::Layout{superblock.xattr_table_start + format::kXattrHeaderSize,
                            header.id_count, format::kXattrIdRecordSize});
    SQUENV_TRY(xattr_sets->preload());
    xattrs = Xattrs(*xattr_sets, *metadata, {header.pairs_start, superblock.xattr_table_start});
    return {};
}

Status Image::Parts::read_ids() {
    LookupTable table(*source, *metadata,
                      {superblock.id_table_start, superblock.id_count, format::kIdRecordSize});
    SQUENV_TRY(table.preload());
    ids.reserve(superblock.id_count);
    for (std::uint32_t i = 0; i < superblock.id_count; ++i) {
        Le32 id;
        auto status = table.record(i, std::as_writable_bytes(std::span(&id, 1)));
        if (!status) return with_context(status.error(), "id table");
        ids.push_back(id);
    }
    return {};
}

void Image::Parts::make_readers(std::size_t cache_bytes) {
    const MetadataRegion listings{superblock.directory_table_start, superblock.id_table_start};
    const std::size_t sixteenth = cache_bytes / 16;
    directories = std::make_unique<Directories>(*metadata, listings, inode_region,
                                                sixteenth * kDirectoryShare);
    block_lists = std::make_unique<BlockLists>(*metadata, inode_region, superblock.block_size,
                                               superblock.bytes_used, kBlockListBytes);
    blocks = std::make_unique<BlockCache>(*source, *decompressor, superblock.block_size,
                                          sixteenth * kBlockShare);
    data = std::make_unique<FileData>(superblock, *block_lists, *blocks, *fragments);
}

Result<Inode> Image::Parts::inode(const format::Reference& reference) const {
    MetadataCursor cursor(*metadata, inode_region);
    SQUENV_TRY(cursor.seek(reference));
    std::array<std::byte, format::kMaxInodeFixedSize> raw;
    const MutableBytes header = std::span(raw).first(format::kInodeHeaderSize);
    SQUENV_TRY(cursor.read(header));
    SQUENV_TRY_ASSIGN(const std::size_t size, format::inode_fixed_size(header));
    SQUENV_TRY(cursor.read(
        std::span(raw).subspan(format::kInodeHeaderSize, size - format::kInodeHeaderSize)));
    SQUENV_TRY_ASSIGN(auto record, format::parse_inode(std::span(raw).first(size), superblock));
    Inode inode{record};
    inode.reference = reference;
    inode.payload = cursor.reference();
    inode.uid = ids[inode.uid_index];
    inode.gid = ids[inode.gid_index];
    if (inode.is_symlink() && inode.is_extended) {
        Le32 index;
        SQUENV_TRY(cursor.skip(inode.size_bytes));
        SQUENV_TRY(cursor.read(std::as_writable_bytes(std::span(&index, 1))));
        inode.xattr_index = index;
    }
    if (!xattr_sets)
        inode.xattr_index = format::kNoXattr;
    else if (inode.xattr_index != format::kNoXattr && inode.xattr_index >= xattr_sets->count())
        return fail(Errc::corrupt, fmt::format("inode {}: xattr index {} of {}", inode.number,
                                               inode.xattr_index, xattr_sets->count()));
    return inode;
}

Result<std::unique_ptr<Image>> Image::open(std::unique_ptr<ByteSource> source,
                                           const OpenOptions& options) {
    auto parts = std::make_unique<Parts>();
    parts->source = std::move(source);
    SQUENV_TRY(parts->open(options));
    return std::unique_ptr<Image>(new Image(std::move(parts)));
}

Result<std::unique_ptr<Image>> Image::open(const std::string& path, const OpenOptions& options) {
    SQUENV_TRY_ASSIGN(auto file, ImageFile::open(path));
    return open(file, options);
}

Result<std::unique_ptr<Image>> Image::open(const std::shared_ptr<const ImageFile>& opened,
                                           const OpenOptions& options) {
    const std::string& path = opened->path();
    auto file = std::make_unique<FileSource>(opened);
    std::uint64_t offset = options.offset;
    if (options.find_offset) {
        auto found = find_image_offset(*file);
        if (!found) return with_context(found.error(), path);
        offset = *found;
    }
    SQUENV_TRY(file->set_offset(offset));
    auto image = open(std::unique_ptr<ByteSource>(std::move(file)), options);
    if (!image) return with_context(image.error(), path);
    (*image)->parts_->offset = offset;
    return image;
}

}  // namespace squenv::image
