// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "format/inode.h"
#include "format/reference.h"

namespace squenv::image {

/// An inode of an open image: the validated record, its owner resolved, and where it lies, which
/// is its identity.
struct Inode : format::InodeRecord {
    format::Reference reference{};
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    /// The begin of the bytes after the fixed part: block list, symlink target, directory index.
    format::Reference payload{};

    [[nodiscard]] bool is_directory() const { return type == format::InodeType::directory; }
    [[nodiscard]] bool is_file() const { return type == format::InodeType::file; }
    [[nodiscard]] bool is_symlink() const { return type == format::InodeType::symlink; }
};

}  // namespace squenv::image
