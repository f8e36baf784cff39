// SPDX-License-Identifier: MIT
#include "format/superblock.h"

#include <fmt/core.h>

#include <bit>

#include "base/checked.h"
#include "base/little_endian.h"

namespace squenv::format {

namespace {

struct RawSuperblock {
    Le32 magic;
    Le32 inode_count;
    Le32 mkfs_time;
    Le32 block_size;
    Le32 fragment_count;
    Le16 compressor;
    Le16 block_log;
    Le16 flags;
    Le16 id_count;
    Le16 version_major;
    Le16 version_minor;
    Le64 root_inode;
    Le64 bytes_used;
    Le64 id_table_start;
    Le64 xattr_table_start;
    Le64 inode_table_start;
    Le64 directory_table_start;
    Le64 fragment_table_start;
    Le64 export_table_start;
};
static_assert(sizeof(RawSuperblock) == kSuperblockSize);

tl::unexpected<Error> corrupt_superblock(std::string what) {
    return fail(Errc::corrupt, "superblock: " + std::move(what));
}

/// Bytes of the location list of a table of `count` records.
std::uint64_t list_bytes(std::uint64_t count, std::uint64_t record_size) {
    return ceil_div(count * record_size, kMetadataSize) * 8;
}

Status check_kind(const RawSuperblock& raw) {
    if (raw.magic != kMagic && raw.magic != kStreamedMagic)
        return fail(Errc::unsupported, "not a squashfs image",
                    "make one with 'squenv pack' or mksquashfs");
    if (raw.version_major != kVersionMajor || raw.version_minor != kVersionMinor)
        return fail(Errc::unsupported,
                    fmt::format("squashfs version {}.{} is not supported, only 4.0",
                                raw.version_major.get(), raw.version_minor.get()),
                    "repack the tree with a current tool");
    const std::uint16_t compressor = raw.compressor;
    if (compressor < 1 || compressor > 6)
        return corrupt_superblock(fmt::format("compressor {} does not exist", compressor));
    const std::uint32_t block_size = raw.block_size;
    if (std::has_single_bit(block_size) && block_size > kMaxBlockSize)
        return fail(Errc::unsupported,
                    fmt::format("blocks of {} bytes are larger than squashfs 4.0 allows (1 MiB)",
                                block_size));
    if (!std::has_single_bit(block_size) || block_size < kMinBlockSize)
        return corrupt_superblock(
            fmt::format("block size {} is not a power of two from 4096 to 1048576", block_size));
    if (raw.block_log > kMaxBlockLog || block_size != 1U << raw.block_log)
        return corrupt_superblock(fmt::format("block size {} and its logarithm {} disagree",
                                              block_size, raw.block_log.get()));
    return {};
}

/// Tables follow each other; every list must have room before the next table begins.
Status check_layout(const Superblock& sb, std::uint64_t image_bytes) {
    if (sb.bytes_used < kSuperblockSize || sb.bytes_used > kMaxFileSize)
        return corrupt_superblock(fmt::format("image length {} is impossible", sb.bytes_used));
    if (sb.bytes_used > image_bytes)
        return fail(
            Errc::corrupt,
            fmt::format("image is truncated: {} of {} bytes are there", image_bytes, sb.bytes_used),
            "copy or download it again");
    if (sb.inode_count == 0) return corrupt_superblock("no inodes");
    if (sb.id_count == 0) return corrupt_superblock("no ids");
    std::uint64_t end = sb.bytes_used;
    const auto place = [&end](std::uint64_t start, std::uint64_t bytes,
                              const char* table) -> Status {
        if (!fits(start, bytes, end))
            return corrupt_superblock(fmt::format("{} table at {} does not fit", table, start));
        end = start;
        return {};
    };
    if (sb.has_xattrs()) SQUENV_TRY(place(sb.xattr_table_start, 16, "xattr"));
    SQUENV_TRY(place(sb.id_table_start, list_bytes(sb.id_count, 4), "id"));
    if (sb.has_export_table())
        SQUENV_TRY(place(sb.export_table_start, list_bytes(sb.inode_count, 8), "export"));
    if (sb.fragment_count != 0)
        SQUENV_TRY(place(sb.fragment_table_start, list_bytes(sb.fragment_count, 16), "fragment"));
    SQUENV_TRY(place(sb.directory_table_start, 0, "directory"));
    if (sb.directory_table_start == 0) return corrupt_superblock("directory table at 0");
    SQUENV_TRY(place(sb.inode_table_start, kMetadataHeaderSize + 1, "inode"));
    if (sb.inode_table_start < kSuperblockSize)
        return corrupt_superblock("inode table inside the superblock");
    // The smallest inode has 20 bytes and a metadata block expands to at most 8192.
    const std::uint64_t most_inodes =
        ceil_div(sb.directory_table_start - sb.inode_table_start, kMetadataHeaderSize + 1) *
        (kMetadataSize / 20 + 1);
    if (sb.inode_count > most_inodes)
        return corrupt_superblock(
            fmt::format("{} inodes do not fit into the inode table", sb.inode_count));
    if (sb.root_inode.offset >= kMetadataSize ||
        sb.root_inode.block >= sb.directory_table_start - sb.inode_table_start)
        return corrupt_superblock("root inode lies outside the inode table");
    return {};
}

}  // namespace

const char* compressor_name(CompressorId id) {
    switch (id) {
        case CompressorId::gzip: return "gzip";
        case CompressorId::lzma: return "lzma";
        case CompressorId::lzo: return "lzo";
        case CompressorId::xz: return "xz";
        case CompressorId::lz4: return "lz4";
        case CompressorId::zstd: return "zstd";
    }
    return "unknown";
}

std::uint32_t magic_of(ByteView first_bytes) {
    return first_bytes.size() < 4 ? 0 : load<Le32>(first_bytes).get();
}

Result<Superblock> parse_superblock(ByteView bytes, std::uint64_t image_bytes) {
    if (bytes.size() < kSuperblockSize)
        return fail(Errc::unsupported, "not a squashfs image: shorter than a superblock");
    const auto raw = load<RawSuperblock>(bytes);
    SQUENV_TRY(check_kind(raw));
    Superblock sb;
    sb.inode_count = raw.inode_count;
    sb.mkfs_time = raw.mkfs_time;
    sb.block_size = raw.block_size;
    sb.block_log = raw.block_log;
    sb.fragment_count = raw.fragment_count;
    sb.compressor = static_cast<CompressorId>(raw.compressor.get());
    sb.flags = raw.flags;
    sb.id_count = raw.id_count;
    sb.root_inode = Reference::from_raw(raw.root_inode);
    sb.bytes_used = raw.bytes_used;
    sb.id_table_start = raw.id_table_start;
    sb.xattr_table_start = raw.xattr_table_start;
    sb.inode_table_start = raw.inode_table_start;
    sb.directory_table_start = raw.directory_table_start;
    sb.fragment_table_start = sb.fragment_count != 0 ? raw.fragment_table_start.get() : kNoTable;
    sb.export_table_start = raw.export_table_start;
    SQUENV_TRY(check_layout(sb, image_bytes));
    return sb;
}

ByteVector encode_superblock(const Superblock& sb) {
    RawSuperblock raw{};
    raw.magic = kMagic;
    raw.inode_count = sb.inode_count;
    raw.mkfs_time = sb.mkfs_time;
    raw.block_size = sb.block_size;
    raw.fragment_count = sb.fragment_count;
    raw.compressor = static_cast<std::uint16_t>(sb.compressor);
    raw.block_log = sb.block_log;
    raw.flags = sb.flags;
    raw.id_count = sb.id_count;
    raw.version_major = kVersionMajor;
    raw.version_minor = kVersionMinor;
    raw.root_inode = sb.root_inode.raw();
    raw.bytes_used = sb.bytes_used;
    raw.id_table_start = sb.id_table_start;
    raw.xattr_table_start = sb.xattr_table_start;
    raw.inode_table_start = sb.inode_table_start;
    raw.directory_table_start = sb.directory_table_start;
    raw.fragment_table_start = sb.fragment_table_start;
    raw.export_table_start = sb.export_table_start;
    ByteVector out;
    append(out, raw);
    return out;
}

}  // namespace squenv::format
