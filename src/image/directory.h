// SPDX-License-Identifier: MIT
// Directories: parsed once, searched by name in logarithmic time, listed from any entry on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sharded_cache.h"
#include "image/inode.h"
#include "image/metadata.h"

namespace squenv::image {

/// One entry of a directory. `name` is valid during the call that passes it.
struct DirectoryItem {
    std::string_view name;
    format::Reference inode{};
    std::uint32_t inode_number = 0;
    format::InodeType type = format::InodeType::file;
};

/// A consecutive part of a listing in a form that is searched, not parsed.
class DirectorySegment {
  public:
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] DirectoryItem item(std::size_t index) const;
    [[nodiscard]] std::optional<DirectoryItem> find(std::string_view name) const;
    [[nodiscard]] std::size_t cost_bytes() const;

  private:
    friend class DirectoryParser;
    struct Entry {
        std::uint64_t reference = 0;
        std::uint32_t inode_number = 0;
        std::uint32_t name_start = 0;
        std::uint8_t name_size = 0;
        format::InodeType type = format::InodeType::file;
    };
    std::vector<Entry> entries_;
    std::string names_;
};

/// Thread-safe. Listings up to 64 KiB are kept whole; larger ones are kept as an index of
/// segments that come and go. So a directory of millions of entries costs no more memory than the
/// cache has.
class Directories {
  public:
    Directories(const MetadataStore& store, const MetadataRegion& listings,
                const MetadataRegion& inodes, std::size_t cache_bytes);

    /// The entry called `name`. Errors: corrupt (the whole directory), io.
    [[nodiscard]] Result<std::optional<std::pair<format::Reference, format::InodeType>>> find(
        const Inode& directory, std::string_view name) const;

    /// Calls `visit(index, item)` for the entries from `first` on, in order, until it returns
    /// false. Errors: corrupt (the whole directory), io.
    [[nodiscard]] Status visit(
        const Inode& directory, std::uint64_t first,
        const std::function<bool(std::uint64_t, const DirectoryItem&)>& visit) const;

    [[nodiscard]] CacheCounters counters() const;

  private:
    struct SegmentPlace {
        std::uint64_t first_index = 0;
        std::uint64_t listing_bytes = 0;  ///< of the listing before it
        format::Reference start{};
        std::string first_name;
    };
    struct Listing {
        std::vector<SegmentPlace> places;
        std::shared_ptr<const DirectorySegment> only_segment;  ///< when there is just one
        std::uint64_t entry_count = 0;
    };
    struct SegmentKey {
        std::uint64_t directory = 0;
        std::uint64_t segment = 0;
        bool operator==(const SegmentKey&) const = default;
    };
    struct SegmentHash {
        std::size_t operator()(const SegmentKey& key) const {
            return std::hash<std::uint64_t>{}(key.directory * 0x9E3779B97F4A7C15ULL + key.segment);
        }
    };
    using ListingPointer = std::shared_ptr<const Listing>;
    using SegmentPointer = std::shared_ptr<const DirectorySegment>;

    [[nodiscard]] Result<ListingPointer> listing(const Inode& directory) const;
    [[nodiscard]] Result<SegmentPointer> segment(const Inode& directory, const Listing& listing,
                                                 std::size_t index) const;
    [[nodiscard]] Result<Listing> parse(const Inode& directory) const;

    const MetadataStore& store_;
    MetadataRegion listings_;
    MetadataRegion inodes_;
    mutable ShardedCache<std::uint64_t, Listing> listing_cache_;
    mutable ShardedCache<SegmentKey, DirectorySegment, SegmentHash> segment_cache_;
};

}  // namespace squenv::image
