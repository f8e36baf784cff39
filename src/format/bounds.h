// SPDX-License-Identifier: MIT
// Every bound of the format in one place, each with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace squenv::format {

/// "hsqs" read as a little-endian number.
inline constexpr std::uint32_t kMagic = 0x73717368;
/// First bytes of a streamed image, whose superblock is in the last 96 bytes of the file.
inline constexpr std::uint32_t kStreamedMagic = 0x53515348;
inline constexpr std::uint16_t kVersionMajor = 4;
inline constexpr std::uint16_t kVersionMinor = 0;

inline constexpr std::size_t kSuperblockSize = 96;
/// Uncompressed size of every metadata block but the last of a chain.
inline constexpr std::size_t kMetadataSize = 8192;
inline constexpr std::size_t kMetadataHeaderSize = 2;
/// Image files are padded to this so that the kernel can loop-mount them.
inline constexpr std::uint64_t kPadding = 4096;

inline constexpr std::uint32_t kMinBlockSize = 4096;
/// Bit 24 of a size word is taken; the kernel stops at 1 MiB.
inline constexpr std::uint32_t kMaxBlockSize = 1U << 20;
inline constexpr unsigned kMinBlockLog = 12;
inline constexpr unsigned kMaxBlockLog = 20;

/// "Table missing" for the xattr, fragment and export tables.
inline constexpr std::uint64_t kNoTable = ~std::uint64_t{0};
inline constexpr std::uint32_t kNoFragment = 0xFFFFFFFF;
inline constexpr std::uint32_t kNoXattr = 0xFFFFFFFF;

/// loff_t is signed in the kernel; larger sizes have broken every driver that took them.
inline constexpr std::uint64_t kMaxFileSize = (std::uint64_t{1} << 63) - 1;
/// PATH_MAX less the final NUL: longer targets cannot be followed on Linux.
inline constexpr std::uint32_t kMaxSymlinkTarget = 4095;
/// NAME_MAX. The format could hold 256, Linux cannot look that name up.
inline constexpr std::size_t kMaxName = 255;
/// Entries that share one directory header.
inline constexpr std::uint32_t kMaxRunEntries = 256;
/// A directory's size counts the listing plus this, for the "." and ".." it does not store.
inline constexpr std::uint32_t kDirectorySizeBias = 3;
/// Metadata positions are stored in 32 bits inside directories.
inline constexpr std::uint64_t kMaxTableBytes = std::uint64_t{1} << 32;
inline constexpr std::uint32_t kMaxIds = 65535;
/// XATTR_SIZE_MAX: the kernel refuses larger values, and so does this program, before allocating
/// one.
inline constexpr std::uint32_t kMaxXattrValue = 65536;
/// XATTR_LIST_MAX: the size of all names of one object.
inline constexpr std::size_t kMaxXattrList = 65536;

}  // namespace squenv::format
