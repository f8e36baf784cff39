// SPDX-License-Identifier: MIT
// Listings of directories, with an index where they are long.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "format/directory.h"
#include "format/inode.h"
#include "format/reference.h"
#include "pack/metadata_writer.h"

namespace squenv::pack {

/// One name and its inode.
struct ListingEntry {
    std::string_view name;
    format::Reference inode;
    std::uint32_t inode_number = 0;
    format::InodeType type = format::InodeType::file;
};

/// Where a listing lies and what its inode stores of it.
struct Listing {
    format::Reference start;
    std::uint64_t size_bytes = 0;
    std::vector<format::DirectoryIndexEntry> index;
};

/// Appends the listing of `entries`, which are sorted by name. A listing that crosses a metadata
/// block gets an index entry for every block it begins a run in, so that a lookup decodes one block
/// instead of all. Errors: limit.
[[nodiscard]] Result<Listing> write_listing(MetadataWriter& table,
                                            const std::vector<ListingEntry>& entries);

}  // namespace squenv::pack
