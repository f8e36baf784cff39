// SPDX-License-Identifier: MIT
// Where the data of a sparse file is. What a file system says of holes saves reading them; it never
// decides what a file says.
#pragma once

#include <cstdint>
#include <vector>

namespace squenv::pack {

/// The bytes from `begin` up to `end`.
struct DataRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool operator==(const DataRange&) const = default;
};

/// What has to be read of the open file, in order: the whole file, unless its file system is one
/// that knows its blocks itself, and the blocks that it counts are all in what it calls data.
/// Small holes are read along. The position of `file` changes.
[[nodiscard]] std::vector<DataRange> data_ranges(int file);

}  // namespace squenv::pack
