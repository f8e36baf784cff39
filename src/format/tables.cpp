// SPDX-License-Identifier: MIT
#include "format/tables.h"

#include <fmt/core.h>

#include <array>

#include "base/checked.h"
#include "base/little_endian.h"

namespace squenv::format {

namespace {

struct RawFragment {
    Le64 start;
    Le32 size_word;
    Le32 unused;
};
struct RawXattrHeader {
    Le64 pairs_start;
    Le32 id_count;
    Le32 unused;
};
struct RawXattrSet {
    Le64 pairs;
    Le32 pair_count;
    Le32 size;
};
struct RawXattrKey {
    Le16 type;
    Le16 name_size;
};
static_assert(sizeof(RawFragment) == kFragmentRecordSize);
static_assert(sizeof(RawXattrHeader) == kXattrHeaderSize);
static_assert(sizeof(RawXattrSet) == kXattrIdRecordSize);
static_assert(sizeof(RawXattrKey) == kXattrKeySize);

constexpr std::uint16_t kOutOfLine = 0x0100;
constexpr std::array<const char*, 3> kPrefixes{"user.", "trusted.", "security."};

/// The levels that readers assume when an image has no option block.
constexpr int kGzipDefaultLevel = 9;
constexpr int kZstdDefaultLevel = 15;
constexpr int kLzoDefaultLevel = 8;
constexpr std::uint32_t kLzo999 = 4;
constexpr std::uint32_t kLz4Legacy = 1;

std::uint32_t word(ByteView payload, std::size_t index) {
    return load<Le32>(payload.subspan(index * 4));
}

}  // namespace

Result<FragmentRecord> parse_fragment(ByteView bytes, const Superblock& sb) {
    const auto raw = load<RawFragment>(bytes);
    SQUENV_TRY_ASSIGN(const auto stored, parse_block_word(raw.size_word, sb.block_size));
    if (stored.size_bytes == 0) return fail(Errc::corrupt, "empty fragment block");
    if (!fits(raw.start, stored.size_bytes, sb.bytes_used))
        return fail(Errc::corrupt,
                    fmt::format("fragment block at {} is past the image end", raw.start.get()));
    return FragmentRecord{raw.start, stored};
}

void encode_fragment(ByteVector& out, const FragmentRecord& fragment) {
    append(out, RawFragment{fragment.start, encode_block_word(fragment.stored), 0U});
}

Result<XattrTableHeader> parse_xattr_header(ByteView bytes, const Superblock& sb) {
    const auto raw = load<RawXattrHeader>(bytes);
    const std::uint64_t list =
        ceil_div(std::uint64_t{raw.id_count} * kXattrIdRecordSize, kMetadataSize) * 8;
    if (raw.id_count == 0) return fail(Errc::corrupt, "xattr table without ids");
    if (!fits(sb.xattr_table_start + kXattrHeaderSize, list, sb.bytes_used))
        return fail(Errc::corrupt,
                    fmt::format("{} xattr ids do not fit into the image", raw.id_count.get()));
    if (raw.pairs_start >= sb.xattr_table_start)
        return fail(Errc::corrupt, "xattr pairs lie after their table");
    return XattrTableHeader{raw.pairs_start, raw.id_count};
}

void encode_xattr_header(ByteVector& out, const XattrTableHeader& header) {
    append(out, RawXattrHeader{header.pairs_start, header.id_count, 0U});
}

XattrSetRecord parse_xattr_set(ByteView bytes) {
    const auto raw = load<RawXattrSet>(bytes);
    return {Reference::from_raw(raw.pairs), raw.pair_count, raw.size};
}

void encode_xattr_set(ByteVector& out, const XattrSetRecord& set) {
    append(out, RawXattrSet{set.pairs.raw(), set.pair_count, set.size_bytes});
}

XattrKey parse_xattr_key(ByteView bytes) {
    const auto raw = load<RawXattrKey>(bytes);
    return {static_cast<std::uint16_t>(raw.type & ~kOutOfLine & 0xFFFF),
            (raw.type & kOutOfLine) != 0, raw.name_size};
}

void encode_xattr_key(ByteVector& out, const XattrKey& key) {
    append(out, RawXattrKey{static_cast<std::uint16_t>(key.prefix_id |
                                                       (key.is_out_of_line ? kOutOfLine : 0)),
                            key.name_size});
}

std::optional<std::string> xattr_prefix(std::uint16_t prefix_id) {
    if (prefix_id >= kPrefixes.size()) return std::nullopt;
    return kPrefixes[prefix_id];
}

Result<std::string> describe_compressor_options(CompressorId compressor, ByteView payload) {
    const auto needs = [&](std::size_t size) -> Status {
        if (payload.size() < size)
            return fail(Errc::corrupt, fmt::format("{} option block of {} bytes",
                                                   compressor_name(compressor), payload.size()));
        return {};
    };
    switch (compressor) {
        case CompressorId::gzip:
            SQUENV_TRY(needs(8));
            return fmt::format("level {}, window {} bits", word(payload, 0),
                               word(payload, 1) & 0xFFFF);
        case CompressorId::lzo:
            SQUENV_TRY(needs(8));
            return fmt::format("algorithm {}, level {}", word(payload, 0), word(payload, 1));
        case CompressorId::xz:
            SQUENV_TRY(needs(8));
            return fmt::format("dictionary {} bytes, filters {:#x}", word(payload, 0),
                               word(payload, 1));
        case CompressorId::lz4:
            SQUENV_TRY(needs(8));
            return fmt::format("version {}{}", word(payload, 0),
                               (word(payload, 1) & 1) != 0 ? ", high compression" : "");
        case CompressorId::zstd:
            SQUENV_TRY(needs(4));
            return fmt::format("level {}", static_cast<std::int32_t>(word(payload, 0)));
        case CompressorId::lzma: break;
    }
    return fail(Errc::corrupt, "lzma images have no compressor options");
}

ByteVector encode_compressor_options(CompressorId compressor, int level) {
    ByteVector out;
    const auto level_word = static_cast<std::uint32_t>(level);
    switch (compressor) {
        case CompressorId::gzip:
            if (level == kGzipDefaultLevel) break;
            append(out, Le32(level_word));
            append(out, Le16(15));
            append(out, Le16(0));
            break;
        case CompressorId::lzo:
            if (level == kLzoDefaultLevel) break;
            append(out, Le32(kLzo999));
            append(out, Le32(level_word));
            break;
        case CompressorId::lz4:  // the kernel refuses lz4 images without this block
            append(out, Le32(kLz4Legacy));
            append(out, Le32(level > 0 ? 1U : 0U));
            break;
        case CompressorId::zstd:
            if (level == kZstdDefaultLevel) break;
            append(out, Le32(level_word));
            break;
        case CompressorId::xz:  // dictionary = block size is what readers assume
        case CompressorId::lzma: break;
    }
    return out;
}

}  // namespace squenv::format
