// SPDX-License-Identifier: MIT
#include "pack/directory_table.h"

#include <limits>
#include <span>

#include "format/bounds.h"

namespace squenv::pack {

namespace {

/// The kernel counts the bytes of a listing in an int.
constexpr std::uint64_t kMaxListing = std::numeric_limits<std::int32_t>::max() - 16;

std::uint64_t entry_size(const ListingEntry& entry) {
    return format::kDirectoryEntrySize + entry.name.size();
}

/// How many of `entries` can share one header that begins at `offset` bytes from the start of the
/// metadata block the listing begins in.
std::size_t run_length(std::span<const ListingEntry> entries, std::uint64_t offset) {
    const ListingEntry& first = entries.front();
    const std::uint64_t block = offset / format::kMetadataSize;
    std::uint64_t end = offset + format::kDirectoryHeaderSize;
    std::size_t count = 0;
    for (const ListingEntry& entry : entries) {
        const std::int64_t delta =
            std::int64_t{entry.inode_number} - std::int64_t{first.inode_number};
        // A run that reached the next block ends there: the index can then name its successor.
        if (count == format::kMaxRunEntries || entry.inode.block != first.inode.block ||
            delta < std::numeric_limits<std::int16_t>::min() ||
            delta > std::numeric_limits<std::int16_t>::max() ||
            (count > 0 && end / format::kMetadataSize != block))
            break;
        end += entry_size(entry);
        ++count;
    }
    return count;
}

ByteVector encode_run(std::span<const ListingEntry> entries) {
    const ListingEntry& first = entries.front();
    ByteVector run;
    format::encode_directory_header(
        run, {static_cast<std::uint32_t>(entries.size()),
              static_cast<std::uint32_t>(first.inode.block), first.inode_number});
    for (const ListingEntry& entry : entries)
        format::encode_directory_entry(run,
                                       {entry.inode.offset,
                                        static_cast<std::int16_t>(std::int64_t{entry.inode_number} -
                                                                  std::int64_t{first.inode_number}),
                                        entry.type, static_cast<std::uint16_t>(entry.name.size())},
                                       entry.name);
    return run;
}

}  // namespace

Result<Listing> write_listing(MetadataWriter& table, const std::vector<ListingEntry>& entries) {
    Listing listing;
    listing.start = table.reference();
    std::span<const ListingEntry> rest = entries;
    std::uint64_t indexed_block = 0;
    while (!rest.empty()) {
        const std::uint64_t offset = listing.start.offset + listing.size_bytes;
        const std::uint64_t block = offset / format::kMetadataSize;
        if (block != indexed_block &&
            listing.index.size() < std::numeric_limits<std::uint16_t>::max()) {
            listing.index.push_back({static_cast<std::uint32_t>(listing.size_bytes),
                                     static_cast<std::uint32_t>(table.reference().block),
                                     std::string(rest.front().name)});
            indexed_block = block;
        }
        const std::size_t count = run_length(rest, offset);
        const ByteVector run = encode_run(rest.first(count));
        SQUENV_TRY(table.append(run));
        listing.size_bytes += run.size();
        rest = rest.subspan(count);
    }
    if (listing.size_bytes > kMaxListing)
        return fail(Errc::limit, "a directory has too many entries for one listing");
    return listing;
}

}  // namespace squenv::pack
