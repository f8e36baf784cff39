// SPDX-License-Identifier: MIT
#include "image/directory.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "format/directory.h"

namespace squenv::image {

namespace {
constexpr std::size_t kDirectoryShards = 4;
/// About 2,000 entries: parsed in 50 us, and a directory of a million has 500 of them.
constexpr std::uint64_t kSegmentBytes = 64 << 10;
}  // namespace

/// Parses a listing run by run. Checks what lookups rely on: names that can exist, strictly
/// ascending, inodes inside their table, and a listing that ends where the inode says.
class DirectoryParser {
  public:
    DirectoryParser(const MetadataStore& store, const MetadataRegion& listings,
                    const MetadataRegion& inodes)
        : cursor_(store, listings), inode_table_bytes_(inodes.end - inodes.start) {}

    Status start(const format::Reference& reference, std::uint64_t listing_bytes) {
        left_ = listing_bytes;
        return cursor_.seek(reference);
    }
    [[nodiscard]] bool at_end() const { return left_ == 0; }
    [[nodiscard]] std::uint64_t left() const { return left_; }
    [[nodiscard]] format::Reference reference() const { return cursor_.reference(); }

    /// Whole runs, until kSegmentBytes are read or the listing ends.
    Result<DirectorySegment> next_segment() {
        DirectorySegment segment;
        const std::uint64_t before = left_;
        while (left_ != 0 && before - left_ < kSegmentBytes) SQUENV_TRY(next_run(segment));
        return segment;
    }

  private:
    Status take(MutableBytes out) {
        if (out.size() > left_) return fail(Errc::corrupt, "the listing ends inside an entry");
        SQUENV_TRY(cursor_.read(out));
        left_ -= out.size();
        return {};
    }

    Status next_run(DirectorySegment& segment) {
        std::array<std::byte, format::kDirectoryHeaderSize> raw_header;
        SQUENV_TRY(take(raw_header));
        SQUENV_TRY_ASSIGN(const auto header, format::parse_directory_header(raw_header));
        if (header.inode_block >= inode_table_bytes_)
            return fail(Errc::corrupt, "a run names an inode outside the inode table");
        for (std::uint32_t i = 0; i < header.entry_count; ++i)
            SQUENV_TRY(next_entry(segment, header));
        return {};
    }

    Status next_entry(DirectorySegment& segment, const format::DirectoryHeader& header) {
        std::array<std::byte, format::kDirectoryEntrySize> raw_entry;
        SQUENV_TRY(take(raw_entry));
        SQUENV_TRY_ASSIGN(const auto entry, format::parse_directory_entry(raw_entry));
        std::array<char, format::kMaxName> name;
        const std::string_view text(name.data(), entry.name_size);
        SQUENV_TRY(take(std::as_writable_bytes(std::span(name)).first(entry.name_size)));
        SQUENV_TRY(format::check_name(text));
        if (text <= std::string_view(last_name_))
            return fail(Errc::corrupt, "names are not in ascending order");
        last_name_ = text;
        segment.entries_.push_back(
            {format::Reference{header.inode_block, entry.inode_offset}.raw(),
             header.inode_number + static_cast<std::uint32_t>(entry.number_delta),
             static_cast<std::uint32_t>(segment.names_.size()),
             static_cast<std::uint8_t>(entry.name_size), entry.type});
        segment.names_ += text;
        return {};
    }

    MetadataCursor cursor_;
    std::uint64_t inode_table_bytes_;
    std::uint64_t left_ = 0;
    std::string last_name_;
};

DirectoryItem DirectorySegment::item(std::size_t index) const {
    const Entry& entry = entries_[index];
    return {std::string_view(names_).substr(entry.name_start, entry.name_size),
            format::Reference::from_raw(entry.reference), entry.inode_number, entry.type};
}

std::optional<DirectoryItem> DirectorySegment::find(std::string_view name) const {
    const auto found =
        std::partition_point(entries_.begin(), entries_.end(), [&](const Entry& entry) {
            return std::string_view(names_).substr(entry.name_start, entry.name_size) < name;
        });
    if (found == entries_.end()) return std::nullopt;
    const auto candidate = item(static_cast<std::size_t>(found - entries_.begin()));
    if (candidate.name != name) return std::nullopt;
    return candidate;
}

std::size_t DirectorySegment::cost_bytes() const {
    return sizeof *this + entries_.capacity() * sizeof(Entry) + names_.capacity();
}

Directories::Directories(const MetadataStore& store, const MetadataRegion& listings,
                         const MetadataRegion& inodes, std::size_t cache_bytes)
    : store_(store),
      listings_(listings),
      inodes_(inodes),
      listing_cache_(cache_bytes / 2, kDirectoryShards),
      segment_cache_(cache_bytes / 2, kDirectoryShards) {
}

Result<Directories::Listing> Directories::parse(const Inode& directory) const {
    Listing listing;
    DirectoryParser parser(store_, listings_, inodes_);
    SQUENV_TRY(
        parser.start({directory.listing_block, directory.listing_offset}, directory.size_bytes));
    while (!parser.at_end()) {
        SegmentPlace place;
        place.first_index = listing.entry_count;
        place.listing_bytes = directory.size_bytes - parser.left();
        place.start = parser.reference();
        SQUENV_TRY_ASSIGN(auto segment, parser.next_segment());
        place.first_name = segment.item(0).name;
        listing.entry_count += segment.size();
        listing.places.push_back(std::move(place));
        listing.only_segment = parser.at_end() && listing.places.size() == 1
                                   ? std::make_shared<const DirectorySegment>(std::move(segment))
                                   : nullptr;
    }
    return listing;
}

Result<Directories::ListingPointer> Directories::listing(const Inode& directory) const {
    using Cache = ShardedCache<std::uint64_t, Listing>;
    return listing_cache_.get_or_load(directory.reference.raw(), [&]() -> Result<Cache::Loaded> {
        Result<Listing> parsed = Listing{};
        if (directory.size_bytes != 0) parsed = parse(directory);
        if (!parsed)
            return with_context(parsed.error(),
                                fmt::format("directory inode {}", directory.number));
        std::size_t cost = sizeof(Listing) + parsed->places.size() * 2 * sizeof(SegmentPlace);
        if (parsed->only_segment) cost += parsed->only_segment->cost_bytes();
        return Cache::Loaded{std::make_shared<const Listing>(std::move(*parsed)), cost};
    });
}

Result<Directories::SegmentPointer> Directories::segment(const Inode& directory,
                                                         const Listing& listing,
                                                         std::size_t index) const {
    if (listing.only_segment) return listing.only_segment;
    using Cache = ShardedCache<SegmentKey, DirectorySegment, SegmentHash>;
    return segment_cache_.get_or_load(
        {directory.reference.raw(), index}, [&]() -> Result<Cache::Loaded> {
            const SegmentPlace& place = listing.places[index];
            DirectoryParser parser(store_, listings_, inodes_);
            SQUENV_TRY(parser.start(place.start, directory.size_bytes - place.listing_bytes));
            SQUENV_TRY_ASSIGN(auto parsed, parser.next_segment());
            const std::size_t cost = parsed.cost_bytes();
            return Cache::Loaded{std::make_shared<const DirectorySegment>(std::move(parsed)), cost};
        });
}

Result<std::optional<std::pair<format::Reference, format::InodeType>>> Directories::find(
    const Inode& directory, std::string_view name) const {
    SQUENV_TRY_ASSIGN(const auto list, listing(directory));
    const auto after =
        std::partition_point(list->places.begin(), list->places.end(),
                             [&](const SegmentPlace& place) { return place.first_name <= name; });
    if (after == list->places.begin()) return std::nullopt;
    SQUENV_TRY_ASSIGN(
        const auto part,
        segment(directory, *list, static_cast<std::size_t>(after - list->places.begin()) - 1));
    const auto item = part->find(name);
    if (!item) return std::nullopt;
    return std::pair{item->inode, item->type};
}

Status Directories::visit(
    const Inode& directory, std::uint64_t first,
    const std::function<bool(std::uint64_t, const DirectoryItem&)>& visit) const {
    SQUENV_TRY_ASSIGN(const auto list, listing(directory));
    if (first >= list->entry_count) return {};
    const auto after =
        std::partition_point(list->places.begin(), list->places.end(),
                             [&](const SegmentPlace& place) { return place.first_index <= first; });
    auto index = static_cast<std::size_t>(after - list->places.begin()) - 1;
    for (; index < list->places.size(); ++index) {
        SQUENV_TRY_ASSIGN(const auto part, segment(directory, *list, index));
        const std::uint64_t base = list->places[index].first_index;
        for (std::size_t i = first > base ? first - base : 0; i < part->size(); ++i)
            if (!visit(base + i, part->item(i))) return {};
    }
    return {};
}

CacheCounters Directories::counters() const {
    CacheCounters sum = listing_cache_.counters();
    const CacheCounters segments = segment_cache_.counters();
    sum.hits += segments.hits;
    sum.misses += segments.misses;
    sum.evictions += segments.evictions;
    sum.used_bytes += segments.used_bytes;
    sum.budget_bytes += segments.budget_bytes;
    return sum;
}

}  // namespace squenv::image
