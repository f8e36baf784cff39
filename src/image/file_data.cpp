// SPDX-License-Identifier: MIT
#include "image/file_data.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "format/tables.h"

namespace squenv::image {

namespace {

/// The source of the bytes of holes.
ByteView zeros() {
    // Not const, so that the file of the program has no room for it.
    static std::array<std::byte, format::kMaxBlockSize> zeros{};
    return zeros;
}

/// Block places are looked up in steps, so that no size field decides how much a request allocates.
constexpr std::uint64_t kPlacesAtOnce = 256;

}  // namespace

Result<std::vector<DataSlice>> FileData::read(const Inode& file, std::uint64_t offset,
                                              std::uint64_t size) const {
    std::vector<DataSlice> slices;
    if (offset >= file.size_bytes) return slices;
    const std::uint64_t end = offset + std::min(size, file.size_bytes - offset);
    const std::uint64_t blocks_end =
        file.has_fragment() ? file.size_bytes - file.size_bytes % superblock_.block_size
                            : file.size_bytes;
    Status status;
    if (offset < blocks_end) status = read_blocks(file, offset, std::min(end, blocks_end), slices);
    if (status && end > blocks_end)
        status =
            read_tail(file, std::max(offset, blocks_end) - blocks_end, end - blocks_end, slices);
    if (!status) return with_context(status.error(), fmt::format("file inode {}", file.number));
    return slices;
}

Status FileData::read_blocks(const Inode& file, std::uint64_t offset, std::uint64_t end,
                             std::vector<DataSlice>& slices) const {
    const std::uint64_t block_size = superblock_.block_size;
    const std::uint64_t last_block = (end - 1) / block_size;
    std::vector<BlockPlace> places;
    for (std::uint64_t first = offset / block_size; first <= last_block; first += kPlacesAtOnce) {
        places.clear();
        SQUENV_TRY(
            lists_.places(file, first, std::min(kPlacesAtOnce, last_block - first + 1), places));
        for (std::size_t i = 0; i < places.size(); ++i) {
            const std::uint64_t start = (first + i) * block_size;
            const auto length =
                static_cast<std::size_t>(std::min(block_size, file.size_bytes - start));
            const auto from = static_cast<std::size_t>(std::max(offset, start) - start);
            const auto to = static_cast<std::size_t>(std::min<std::uint64_t>(end - start, length));
            if (places[i].stored.size_bytes == 0) {
                slices.push_back({nullptr, zeros().subspan(from, to - from), false});
                continue;
            }
            // A block that is wanted as a whole will live in the page cache, not in this one.
            const bool is_whole = from == 0 && to == length;
            SQUENV_TRY_ASSIGN(auto found, blocks_.get(places[i], length, {.is_kept = !is_whole}));
            const ByteView bytes = found.block->bytes().subspan(from, to - from);
            slices.push_back({std::move(found.block), bytes, false});
        }
    }
    return {};
}

Result<BlockPlace> FileData::fragment_place(const Inode& file) const {
    std::array<std::byte, format::kFragmentRecordSize> raw;
    SQUENV_TRY(fragments_.record(file.fragment_index, raw));
    SQUENV_TRY_ASSIGN(const auto fragment, format::parse_fragment(raw, superblock_));
    return BlockPlace{fragment.start, fragment.stored};
}

Status FileData::read_tail(const Inode& file, std::uint64_t first, std::uint64_t last,
                           std::vector<DataSlice>& slices) const {
    SQUENV_TRY_ASSIGN(const auto place, fragment_place(file));
    SQUENV_TRY_ASSIGN(auto found, blocks_.get(place, BlockCache::kAnyLength, {}));
    const auto tail = tail_in(file, found.block->bytes(), superblock_.block_size);
    if (!tail)
        return fail(Errc::corrupt, fmt::format("tail at {} of a fragment of {} bytes",
                                               file.fragment_offset, found.block->bytes().size()));
    const ByteView bytes =
        tail->subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    slices.push_back({std::move(found.block), bytes, found.is_new});
    return {};
}

std::optional<ByteView> FileData::tail_in(const Inode& file, ByteView fragment,
                                          std::uint32_t block_size) {
    // The whole tail must lie in the block, also when only its beginning is asked for.
    const std::uint64_t tail = file.size_bytes % block_size;
    if (!fits(file.fragment_offset, tail, fragment.size())) return std::nullopt;
    return fragment.subspan(file.fragment_offset, static_cast<std::size_t>(tail));
}

Status FileData::visit_places(const Inode& file,
                              const std::function<void(const BlockPlace&)>& visit) const {
    const std::uint64_t count = file.block_count(superblock_.block_size);
    std::vector<BlockPlace> places;
    for (std::uint64_t first = 0; first < count; first += kPlacesAtOnce) {
        places.clear();
        SQUENV_TRY(lists_.places(file, first, std::min(kPlacesAtOnce, count - first), places));
        for (const BlockPlace& place : places)
            if (place.stored.size_bytes != 0) visit(place);
    }
    if (!file.has_fragment()) return {};
    SQUENV_TRY_ASSIGN(const BlockPlace fragment, fragment_place(file));
    visit(fragment);
    return {};
}

Status FileData::visit_stored(const Inode& file, std::uint64_t offset, std::uint64_t size,
                              const std::function<void(const StoredPart&)>& visit) const {
    const std::uint64_t block_size = superblock_.block_size;
    const std::uint64_t end = offset + size;
    const std::uint64_t count = file.block_count(superblock_.block_size);
    const std::uint64_t blocks_end = std::min(end, count * block_size);
    std::vector<BlockPlace> places;
    for (std::uint64_t block = offset / block_size; block * block_size < blocks_end;
         block += places.size()) {
        places.clear();
        const std::uint64_t left = (blocks_end - 1) / block_size - block + 1;
        SQUENV_TRY(lists_.places(file, block, std::min(kPlacesAtOnce, left), places));
        for (std::size_t i = 0; i < places.size(); ++i) {
            if (places[i].stored.size_bytes == 0) continue;
            const std::uint64_t start = (block + i) * block_size;
            const std::uint64_t first = std::max(offset, start);
            const std::uint64_t last = std::min(end, start + block_size);
            visit({places[i],
                   static_cast<std::size_t>(std::min(block_size, file.size_bytes - start)), first,
                   static_cast<std::uint32_t>(first - start),
                   static_cast<std::uint32_t>(last - first)});
        }
    }
    const std::uint64_t tail_start = count * block_size;
    if (!file.has_fragment() || end <= tail_start) return {};
    SQUENV_TRY_ASSIGN(const BlockPlace fragment, fragment_place(file));
    const std::uint64_t first = std::max(offset, tail_start);
    visit({fragment, BlockCache::kAnyLength, first,
           static_cast<std::uint32_t>(file.fragment_offset + (first - tail_start)),
           static_cast<std::uint32_t>(end - first)});
    return {};
}

Result<std::optional<std::uint64_t>> FileData::seek(const Inode& file, std::uint64_t offset,
                                                    Seek what) const {
    if (offset >= file.size_bytes) return std::nullopt;
    const std::uint32_t block_size = superblock_.block_size;
    const std::uint64_t count = file.block_count(block_size);
    std::vector<BlockPlace> places;
    for (std::uint64_t first = offset / block_size; first < count; first += kPlacesAtOnce) {
        places.clear();
        SQUENV_TRY(lists_.places(file, first, std::min(kPlacesAtOnce, count - first), places));
        for (std::size_t i = 0; i < places.size(); ++i) {
            const bool is_hole = places[i].stored.size_bytes == 0;
            if (is_hole == (what == Seek::hole)) return std::max(offset, (first + i) * block_size);
        }
    }
    if (what == Seek::hole) return file.size_bytes;
    if (file.has_fragment()) return std::max(offset, count * block_size);
    return std::nullopt;
}

}  // namespace squenv::image
