// SPDX-License-Identifier: MIT
// Tables of fixed-size records, after a list of block positions: fragments, ids, export, xattrs.
#pragma once

#include <cstdint>
#include <vector>

#include "image/metadata.h"

namespace squenv::image {

/// Thread-safe after construction.
class LookupTable {
  public:
    struct Layout {
        std::uint64_t list_start = 0;  ///< image position of the location list
        std::uint64_t count = 0;       ///< records
        std::size_t record_size = 0;   ///< a divisor of 8192
    };

    LookupTable(const ByteSource& source, const MetadataStore& store, const Layout& layout)
        : source_(source), store_(store), layout_(layout) {}

    /// Reads a short location list in one go, so that later look-ups need no read for it. Long
    /// lists are read entry by entry instead of being kept.
    [[nodiscard]] Status preload();

    [[nodiscard]] std::uint64_t count() const { return layout_.count; }
    /// Copies record `index` into `out` (record_size bytes). Errors: corrupt, io.
    [[nodiscard]] Status record(std::uint64_t index, MutableBytes out) const;

  private:
    [[nodiscard]] Result<std::uint64_t> location(std::uint64_t block_index) const;

    const ByteSource& source_;
    const MetadataStore& store_;
    Layout layout_;
    std::vector<std::uint64_t> locations_;
};

}  // namespace squenv::image
