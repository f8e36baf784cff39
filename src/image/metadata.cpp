// SPDX-License-Identifier: MIT
#include "image/metadata.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/little_endian.h"
#include "format/metadata_header.h"

namespace squenv::image {

namespace {
constexpr std::size_t kShards = 8;
constexpr std::size_t kStoredMax = format::kMetadataHeaderSize + format::kMetadataSize;
}  // namespace

MetadataStore::MetadataStore(const ByteSource& source, const codec::Decompressor& decompressor,
                             std::size_t cache_bytes)
    : source_(source), decompressor_(decompressor), cache_(cache_bytes, kShards) {
}

Result<MetadataPointer> MetadataStore::block(std::uint64_t position,
                                             const MetadataRegion& region) const {
    const auto outside = [&] {
        return fail(Errc::corrupt, fmt::format("metadata block at {} outside its table", position));
    };
    if (position < region.start || !fits(position, format::kMetadataHeaderSize + 1, region.end))
        return outside();
    auto block = cache_.get_or_load(
        position, [&]() -> Result<ShardedCache<std::uint64_t, MetadataBlock>::Loaded> {
            auto decoded = decode(position, region);
            if (!decoded)
                return with_context(decoded.error(), fmt::format("metadata block at {}", position));
            const std::size_t cost = decoded->bytes.size() + sizeof(MetadataBlock);
            return ShardedCache<std::uint64_t, MetadataBlock>::Loaded{
                std::make_shared<const MetadataBlock>(std::move(*decoded)), cost};
        });
    // The block may have been read before as part of a table that reaches further.
    if (block && (*block)->next_position > region.end) return outside();
    return block;
}

Result<MetadataBlock> MetadataStore::decode(std::uint64_t position,
                                            const MetadataRegion& region) const {
    std::array<std::byte, kStoredMax> stored;
    const std::size_t readable =
        static_cast<std::size_t>(std::min<std::uint64_t>(kStoredMax, region.end - position));
    SQUENV_TRY(source_.read_exact(position, std::span(stored).first(readable)));
    SQUENV_TRY_ASSIGN(const auto header,
                      format::parse_metadata_header(load<Le16>(ByteView(stored))));
    if (format::kMetadataHeaderSize + header.size_bytes > readable)
        return fail(Errc::corrupt, "runs out of its table");
    const ByteView payload =
        ByteView(stored).subspan(format::kMetadataHeaderSize, header.size_bytes);
    MetadataBlock block;
    block.next_position = position + format::kMetadataHeaderSize + header.size_bytes;
    if (!header.is_compressed) {
        block.bytes.assign(payload.begin(), payload.end());
        return block;
    }
    std::array<std::byte, format::kMetadataSize> plain;
    SQUENV_TRY_ASSIGN(const std::size_t size, decompressor_.decompress(payload, plain));
    if (size == 0) return fail(Errc::corrupt, "decodes to nothing");
    block.bytes.assign(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(size));
    return block;
}

Status MetadataCursor::seek(const format::Reference& reference) {
    const auto position = checked_add(region_.start, reference.block);
    if (!position) return fail(Errc::corrupt, "metadata reference outside its table");
    if (!block_ || position_ != *position) SQUENV_TRY(open_block(*position));
    if (reference.offset >= block_->bytes.size())
        return fail(Errc::corrupt, fmt::format("offset {} outside the metadata block at {}",
                                               reference.offset, *position));
    offset_ = reference.offset;
    return {};
}

Status MetadataCursor::open_block(std::uint64_t position) {
    SQUENV_TRY_ASSIGN(auto block, store_->block(position, region_));
    block_ = std::move(block);
    position_ = position;
    offset_ = 0;
    return {};
}

Status MetadataCursor::refill() {
    if (offset_ < block_->bytes.size()) return {};
    return open_block(block_->next_position);
}

Status MetadataCursor::read(MutableBytes out) {
    while (!out.empty()) {
        SQUENV_TRY(refill());
        const std::size_t count = std::min(out.size(), block_->bytes.size() - offset_);
        std::copy_n(block_->bytes.begin() + static_cast<std::ptrdiff_t>(offset_), count,
                    out.begin());
        out = out.subspan(count);
        offset_ += count;
    }
    return {};
}

Status MetadataCursor::skip(std::uint64_t count) {
    while (count != 0) {
        SQUENV_TRY(refill());
        const auto step = std::min<std::uint64_t>(count, block_->bytes.size() - offset_);
        count -= step;
        offset_ += static_cast<std::size_t>(step);
    }
    return {};
}

format::Reference MetadataCursor::reference() const {
    if (offset_ >= block_->bytes.size()) return {block_->next_position - region_.start, 0};
    return {position_ - region_.start, static_cast<std::uint16_t>(offset_)};
}

}  // namespace squenv::image
