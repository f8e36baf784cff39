// SPDX-License-Identifier: MIT
#include "format/inode.h"

#include <fmt/core.h>

#include "base/checked.h"
#include "base/little_endian.h"

namespace squenv::format {

namespace {

struct RawHeader {
    Le16 type;
    Le16 mode;
    Le16 uid_index;
    Le16 gid_index;
    Le32 mtime;
    Le32 number;
};
struct RawDirectory {
    Le32 listing_block;
    Le32 nlink;
    Le16 size;
    Le16 listing_offset;
    Le32 parent_number;
};
struct RawExtendedDirectory {
    Le32 nlink;
    Le32 size;
    Le32 listing_block;
    Le32 parent_number;
    Le16 index_count;
    Le16 listing_offset;
    Le32 xattr_index;
};
struct RawDirectoryIndex {
    Le32 listing_bytes;
    Le32 block;
    Le32 name_size_less_one;
};
struct RawFile {
    Le32 blocks_start;
    Le32 fragment_index;
    Le32 fragment_offset;
    Le32 size;
};
struct RawExtendedFile {
    Le64 blocks_start;
    Le64 size;
    Le64 sparse;
    Le32 nlink;
    Le32 fragment_index;
    Le32 fragment_offset;
    Le32 xattr_index;
};
struct RawSymlink {
    Le32 nlink;
    Le32 target_size;
};
struct RawDevice {
    Le32 nlink;
    Le32 device;
};
struct RawIpc {
    Le32 nlink;
};
static_assert(sizeof(RawHeader) == kInodeHeaderSize);
static_assert(sizeof(RawDirectory) == 16 && sizeof(RawExtendedDirectory) == 24);
static_assert(sizeof(RawFile) == 16 && sizeof(RawExtendedFile) == 40);
static_assert(sizeof(RawHeader) + sizeof(RawExtendedFile) == kMaxInodeFixedSize);
static_assert(sizeof(RawSymlink) == 8 && sizeof(RawDevice) == 8 && sizeof(RawIpc) == 4);
static_assert(sizeof(RawDirectoryIndex) == kDirectoryIndexSize);

constexpr std::uint16_t kExtendedShift = 7;

tl::unexpected<Error> corrupt_inode(std::string what) {
    return fail(Errc::corrupt, std::move(what));
}

void parse_directory(ByteView body, InodeRecord& inode) {
    if (inode.is_extended) {
        const auto raw = load<RawExtendedDirectory>(body);
        inode.nlink = raw.nlink;
        inode.size_bytes = raw.size;
        inode.listing_block = raw.listing_block;
        inode.parent_number = raw.parent_number;
        inode.index_count = raw.index_count;
        inode.listing_offset = raw.listing_offset;
        inode.xattr_index = raw.xattr_index;
    } else {
        const auto raw = load<RawDirectory>(body);
        inode.nlink = raw.nlink;
        inode.size_bytes = raw.size;
        inode.listing_block = raw.listing_block;
        inode.parent_number = raw.parent_number;
        inode.listing_offset = raw.listing_offset;
    }
    // Sizes below the bias are empty directories to every reader.
    inode.size_bytes -=
        inode.size_bytes < kDirectorySizeBias ? inode.size_bytes : kDirectorySizeBias;
}

void parse_file(ByteView body, InodeRecord& inode) {
    if (inode.is_extended) {
        const auto raw = load<RawExtendedFile>(body);
        inode.blocks_start = raw.blocks_start;
        inode.size_bytes = raw.size;
        inode.sparse_bytes = raw.sparse;
        inode.nlink = raw.nlink;
        inode.fragment_index = raw.fragment_index;
        inode.fragment_offset = raw.fragment_offset;
        inode.xattr_index = raw.xattr_index;
    } else {
        const auto raw = load<RawFile>(body);
        inode.blocks_start = raw.blocks_start;
        inode.size_bytes = raw.size;
        inode.fragment_index = raw.fragment_index;
        inode.fragment_offset = raw.fragment_offset;
    }
    if (!inode.has_fragment()) inode.fragment_offset = 0;
}

Status check_file(const InodeRecord& inode, const Superblock& sb) {
    if (inode.size_bytes > kMaxFileSize)
        return corrupt_inode(fmt::format("file size {} is impossible", inode.size_bytes));
    if (inode.block_count(sb.block_size) != 0 && inode.blocks_start > sb.bytes_used)
        return corrupt_inode(
            fmt::format("data position {} is past the image end", inode.blocks_start));
    if (!inode.has_fragment()) return {};
    if (inode.fragment_index >= sb.fragment_count)
        return corrupt_inode(
            fmt::format("fragment {} of {}", inode.fragment_index, sb.fragment_count));
    const std::uint64_t tail = inode.size_bytes % sb.block_size;
    if (tail == 0) return corrupt_inode("fragment without a tail to hold");
    if (!fits(inode.fragment_offset, tail, sb.block_size))
        return corrupt_inode(
            fmt::format("tail at {} does not fit into a fragment block", inode.fragment_offset));
    return {};
}

Status check_directory(const InodeRecord& inode, const Superblock& sb) {
    if (inode.size_bytes == 0) return {};
    if (inode.listing_offset >= kMetadataSize ||
        inode.listing_block >= sb.bytes_used - sb.directory_table_start)
        return corrupt_inode("listing lies outside the directory table");
    return {};
}

Status check_symlink(const InodeRecord& inode) {
    if (inode.size_bytes == 0 || inode.size_bytes > kMaxSymlinkTarget)
        return corrupt_inode(fmt::format("symlink target of {} bytes", inode.size_bytes));
    return {};
}

Status check(const InodeRecord& inode, const Superblock& sb) {
    if (inode.mode > 07777)
        return corrupt_inode(fmt::format("mode {:#o} has type bits", inode.mode));
    if (inode.number == 0 || inode.number > sb.inode_count)
        return corrupt_inode(fmt::format("inode number {} of {}", inode.number, sb.inode_count));
    if (inode.uid_index >= sb.id_count || inode.gid_index >= sb.id_count)
        return corrupt_inode("owner lies outside the id table");
    switch (inode.type) {
        case InodeType::file: return check_file(inode, sb);
        case InodeType::directory: return check_directory(inode, sb);
        case InodeType::symlink: return check_symlink(inode);
        default: return {};
    }
}

void encode_directory(ByteVector& out, const InodeRecord& inode) {
    if (inode.is_extended) {
        RawExtendedDirectory raw{};
        raw.nlink = inode.nlink;
        raw.size = static_cast<std::uint32_t>(inode.size_bytes + kDirectorySizeBias);
        raw.listing_block = inode.listing_block;
        raw.parent_number = inode.parent_number;
        raw.index_count = inode.index_count;
        raw.listing_offset = inode.listing_offset;
        raw.xattr_index = inode.xattr_index;
        append(out, raw);
    } else {
        RawDirectory raw{};
        raw.listing_block = inode.listing_block;
        raw.nlink = inode.nlink;
        raw.size = static_cast<std::uint16_t>(inode.size_bytes + kDirectorySizeBias);
        raw.listing_offset = inode.listing_offset;
        raw.parent_number = inode.parent_number;
        append(out, raw);
    }
}

void encode_file(ByteVector& out, const InodeRecord& inode) {
    if (inode.is_extended) {
        RawExtendedFile raw{};
        raw.blocks_start = inode.blocks_start;
        raw.size = inode.size_bytes;
        raw.sparse = inode.sparse_bytes;
        raw.nlink = inode.nlink;
        raw.fragment_index = inode.fragment_index;
        raw.fragment_offset = inode.fragment_offset;
        raw.xattr_index = inode.xattr_index;
        append(out, raw);
    } else {
        RawFile raw{};
        raw.blocks_start = static_cast<std::uint32_t>(inode.blocks_start);
        raw.fragment_index = inode.fragment_index;
        raw.fragment_offset = inode.fragment_offset;
        raw.size = static_cast<std::uint32_t>(inode.size_bytes);
        append(out, raw);
    }
}

void encode_symlink(ByteVector& out, const InodeRecord& inode, const std::string& target) {
    RawSymlink raw{};
    raw.nlink = inode.nlink;
    raw.target_size = static_cast<std::uint32_t>(target.size());
    append(out, raw);
    append(out, as_bytes(target));
    if (inode.is_extended) append(out, Le32(inode.xattr_index));
}

}  // namespace

std::uint64_t InodeRecord::block_count(std::uint32_t block_size) const {
    return has_fragment() ? size_bytes / block_size : ceil_div(size_bytes, block_size);
}

std::uint64_t directory_index_name_size(ByteView fixed) {
    return std::uint64_t{load<RawDirectoryIndex>(fixed).name_size_less_one} + 1;
}

Result<std::size_t> inode_fixed_size(ByteView header) {
    const std::uint16_t type = load<RawHeader>(header).type;
    const bool is_extended = type > kExtendedShift;
    const std::size_t xattr = is_extended ? 4 : 0;
    switch (is_extended ? type - kExtendedShift : type) {
        case 1:
            return kInodeHeaderSize +
                   (is_extended ? sizeof(RawExtendedDirectory) : sizeof(RawDirectory));
        case 2: return kInodeHeaderSize + (is_extended ? sizeof(RawExtendedFile) : sizeof(RawFile));
        case 3: return kInodeHeaderSize + sizeof(RawSymlink);
        case 4:
        case 5: return kInodeHeaderSize + sizeof(RawDevice) + xattr;
        case 6:
        case 7: return kInodeHeaderSize + sizeof(RawIpc) + xattr;
        default: return corrupt_inode(fmt::format("inode type {} does not exist", type));
    }
}

Result<InodeRecord> parse_inode(ByteView fixed, const Superblock& sb) {
    const auto header = load<RawHeader>(fixed);
    const std::uint16_t type = header.type;
    InodeRecord inode;
    inode.is_extended = type > kExtendedShift;
    inode.type = static_cast<InodeType>(inode.is_extended ? type - kExtendedShift : type);
    inode.mode = header.mode;
    inode.uid_index = header.uid_index;
    inode.gid_index = header.gid_index;
    inode.mtime = header.mtime;
    inode.number = header.number;
    const ByteView body = fixed.subspan(kInodeHeaderSize);
    switch (inode.type) {
        case InodeType::directory: parse_directory(body, inode); break;
        case InodeType::file: parse_file(body, inode); break;
        case InodeType::symlink: {
            const auto raw = load<RawSymlink>(body);
            inode.nlink = raw.nlink;
            inode.size_bytes = raw.target_size;
            break;
        }
        case InodeType::block_device:
        case InodeType::char_device: {
            const auto raw = load<RawDevice>(body);
            inode.nlink = raw.nlink;
            inode.device = raw.device;
            if (inode.is_extended) inode.xattr_index = load<Le32>(body.subspan(sizeof raw));
            break;
        }
        case InodeType::fifo:
        case InodeType::socket: {
            const auto raw = load<RawIpc>(body);
            inode.nlink = raw.nlink;
            if (inode.is_extended) inode.xattr_index = load<Le32>(body.subspan(sizeof raw));
            break;
        }
    }
    if (const auto status = check(inode, sb); !status)
        return with_context(status.error(), fmt::format("inode {}", inode.number));
    return inode;
}

ByteVector encode_inode(const InodeRecord& inode, const std::vector<std::uint32_t>& block_words,
                        const std::string& target, const std::vector<DirectoryIndexEntry>& index) {
    ByteVector out;
    RawHeader header{};
    header.type = static_cast<std::uint16_t>(static_cast<unsigned>(inode.type) +
                                             (inode.is_extended ? kExtendedShift : 0));
    header.mode = inode.mode;
    header.uid_index = inode.uid_index;
    header.gid_index = inode.gid_index;
    header.mtime = inode.mtime;
    header.number = inode.number;
    append(out, header);
    switch (inode.type) {
        case InodeType::directory: encode_directory(out, inode); break;
        case InodeType::file: encode_file(out, inode); break;
        case InodeType::symlink: encode_symlink(out, inode, target); break;
        case InodeType::block_device:
        case InodeType::char_device:
            append(out, RawDevice{inode.nlink, inode.device});
            if (inode.is_extended) append(out, Le32(inode.xattr_index));
            break;
        case InodeType::fifo:
        case InodeType::socket:
            append(out, RawIpc{inode.nlink});
            if (inode.is_extended) append(out, Le32(inode.xattr_index));
            break;
    }
    for (const std::uint32_t word : block_words) append(out, Le32(word));
    for (const auto& entry : index) {
        append(out, RawDirectoryIndex{entry.listing_bytes, entry.block,
                                      static_cast<std::uint32_t>(entry.name.size() - 1)});
        append(out, as_bytes(entry.name));
    }
    return out;
}

}  // namespace squenv::format
