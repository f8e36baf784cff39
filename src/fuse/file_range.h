// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "fuse/file_system.h"

namespace squenv::fuse {

/// Bytes of a file.
struct FileRange {
    NodeId node = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end - begin); }
    [[nodiscard]] bool overlaps(const FileRange& other) const {
        return node == other.node && begin < other.end && other.begin < end;
    }
    bool operator==(const FileRange&) const = default;
};

}  // namespace squenv::fuse
