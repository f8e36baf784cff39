// SPDX-License-Identifier: MIT
#include "image/lookup_table.h"

#include <fmt/core.h>

#include "base/checked.h"
#include "base/little_endian.h"
#include "format/bounds.h"

namespace squenv::image {

namespace {
/// 8192 locations are 4 million fragments: lists of real images are shorter.
constexpr std::uint64_t kMaxPreloadedLocations = 8192;
}  // namespace

Status LookupTable::preload() {
    const std::uint64_t blocks =
        ceil_div(layout_.count * layout_.record_size, format::kMetadataSize);
    if (blocks > kMaxPreloadedLocations) return {};
    std::vector<Le64> raw(blocks);
    SQUENV_TRY(source_.read_exact(layout_.list_start, std::as_writable_bytes(std::span(raw))));
    locations_.assign(raw.begin(), raw.end());
    return {};
}

Result<std::uint64_t> LookupTable::location(std::uint64_t block_index) const {
    if (block_index < locations_.size()) return locations_[block_index];
    Le64 raw;
    SQUENV_TRY(source_.read_exact(layout_.list_start + block_index * sizeof raw,
                                  std::as_writable_bytes(std::span(&raw, 1))));
    return raw.get();
}

Status LookupTable::record(std::uint64_t index, MutableBytes out) const {
    if (index >= layout_.count)
        return fail(Errc::corrupt, fmt::format("table index {} of {}", index, layout_.count));
    const std::uint64_t position = index * layout_.record_size;
    SQUENV_TRY_ASSIGN(const auto start, location(position / format::kMetadataSize));
    // The blocks of a table lie in front of its location list.
    SQUENV_TRY_ASSIGN(const auto block,
                      store_.block(start, {format::kSuperblockSize, layout_.list_start}));
    const std::size_t offset = position % format::kMetadataSize;
    if (!fits(offset, layout_.record_size, block->bytes.size()))
        return fail(Errc::corrupt, fmt::format("table block at {} is too short", start));
    std::copy_n(block->bytes.begin() + static_cast<std::ptrdiff_t>(offset), layout_.record_size,
                out.begin());
    return {};
}

}  // namespace squenv::image
