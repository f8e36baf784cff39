// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "image/inode.h"

namespace squenv::prefetch {

/// A file of the image: the raw reference of its inode.
using FileId = std::uint64_t;
/// No inode begins there: the offset in the metadata block is out of range.
inline constexpr FileId kNoFile = ~FileId{0};

[[nodiscard]] inline FileId file_id(const image::Inode& file) {
    return file.reference.raw();
}

/// Bytes of a file.
struct FileRange {
    FileId file = kNoFile;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end - begin); }
    [[nodiscard]] bool overlaps(const FileRange& other) const {
        return file == other.file && begin < other.end && other.begin < end;
    }
    bool operator==(const FileRange&) const = default;
};

}  // namespace squenv::prefetch
