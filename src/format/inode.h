// SPDX-License-Identifier: MIT
// Inodes: 14 on-disk types, one host form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "format/bounds.h"
#include "format/superblock.h"

namespace squenv::format {

/// The basic types; an extended on-disk type is the basic one + 7.
enum class InodeType : std::uint8_t {
    directory = 1,
    file = 2,
    symlink = 3,
    block_device = 4,
    char_device = 5,
    fifo = 6,
    socket = 7,
};

/// One inode, validated. The fields of other types than `type` keep their defaults.
struct InodeRecord {
    InodeType type = InodeType::file;
    bool is_extended = false;
    std::uint16_t mode = 0;  ///< permission bits, 07777
    std::uint16_t uid_index = 0;
    std::uint16_t gid_index = 0;
    std::uint32_t mtime = 0;   ///< seconds since 1970
    std::uint32_t number = 0;  ///< 1..inode_count
    std::uint32_t nlink = 1;   ///< as stored; basic files have 1
    std::uint32_t xattr_index = kNoXattr;

    /// Bytes of a file; bytes of the listing of a directory; length of a symlink's target.
    std::uint64_t size_bytes = 0;

    // Files.
    std::uint64_t blocks_start = 0;  ///< image position of the first data block
    std::uint64_t sparse_bytes = 0;
    std::uint32_t fragment_index = kNoFragment;
    std::uint32_t fragment_offset = 0;  ///< of the tail, in the uncompressed fragment block

    // Directories.
    std::uint32_t listing_block = 0;  ///< relative to the directory table
    std::uint16_t listing_offset = 0;
    std::uint16_t index_count = 0;
    std::uint32_t parent_number = 0;

    std::uint32_t device = 0;  ///< devices: as new_encode_dev() of Linux writes it

    [[nodiscard]] bool has_fragment() const { return fragment_index != kNoFragment; }
    /// Words in the block list. Files only.
    [[nodiscard]] std::uint64_t block_count(std::uint32_t block_size) const;
};

/// Size of the on-disk header that every inode begins with.
inline constexpr std::size_t kInodeHeaderSize = 16;
/// The longest fixed part (extended file).
inline constexpr std::size_t kMaxInodeFixedSize = 56;

/// Bytes of the fixed part (header included) of the inode that begins with `header`, or corrupt
/// for a type that does not exist.
[[nodiscard]] Result<std::size_t> inode_fixed_size(ByteView header);

/// Reads and validates the fixed part against the limits of the image. What follows it (block
/// list, symlink target, directory index) is not looked at, except that it must be representable.
/// For extended symlinks `xattr_index` stays kNoXattr: it is stored after the target.
[[nodiscard]] Result<InodeRecord> parse_inode(ByteView fixed, const Superblock& superblock);

/// The fixed part of an index entry, and the length of the name after one.
inline constexpr std::size_t kDirectoryIndexSize = 12;
[[nodiscard]] std::uint64_t directory_index_name_size(ByteView fixed);

/// One entry of the index of an extended directory.
struct DirectoryIndexEntry {
    std::uint32_t listing_bytes = 0;  ///< from the start of the listing to a header
    std::uint32_t block = 0;          ///< metadata block of that header, relative to the table
    std::string name{};               ///< first name after it
};

/// The inode as it is stored, with everything that follows the fixed part.
/// `block_words` for files, `target` for symlinks, `index` for extended directories.
[[nodiscard]] ByteVector encode_inode(const InodeRecord& inode,
                                      const std::vector<std::uint32_t>& block_words,
                                      const std::string& target,
                                      const std::vector<DirectoryIndexEntry>& index);

}  // namespace squenv::format
