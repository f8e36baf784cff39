// SPDX-License-Identifier: MIT
// How the format's types and device numbers map to those of the system.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include <cstdint>

#include "format/inode.h"

namespace squenv::format {

/// The S_IFMT bits of a type.
[[nodiscard]] constexpr mode_t type_bits(InodeType type) {
    switch (type) {
        case InodeType::directory: return S_IFDIR;
        case InodeType::file: return S_IFREG;
        case InodeType::symlink: return S_IFLNK;
        case InodeType::block_device: return S_IFBLK;
        case InodeType::char_device: return S_IFCHR;
        case InodeType::fifo: return S_IFIFO;
        case InodeType::socket: return S_IFSOCK;
    }
    return 0;
}

/// A stored device number, in the layout of new_encode_dev() of Linux: 12 bits of major number,
/// 20 of minor.
[[nodiscard]] inline dev_t decode_device(std::uint32_t stored) {
    return makedev((stored >> 8) & 0xFFF, (stored & 0xFF) | ((stored >> 12) & 0xFFF00));
}
[[nodiscard]] inline std::uint32_t encode_device(dev_t device) {
    const auto low = static_cast<std::uint32_t>(minor(device));
    return (low & 0xFF) | static_cast<std::uint32_t>(major(device)) << 8 | (low & ~0xFFU) << 12;
}

}  // namespace squenv::format
