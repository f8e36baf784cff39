// SPDX-License-Identifier: MIT
#include "appendix/appendix.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "appendix/hot_list.h"
#include "appendix/manifest.h"
#include "appendix/number.h"
#include "base/checked.h"
#include "base/little_endian.h"
#include "format/bounds.h"

namespace squenv::appendix {

namespace {

struct RawHeader {
    Le64 magic;
    Le32 version;
    Le32 header_size;
    Le64 manifest_size;
    Le64 hot_list_size;
    Le64 digests_size;
    Le64 unused;
    Sha256 digest;
};
static_assert(sizeof(RawHeader) == kHeaderSize);

/// "SQENVAPX" read as a little-endian number.
constexpr std::uint64_t kMagic = 0x585041564E455153;
constexpr std::uint32_t kVersion = 1;
/// The lists of programs that import large packages have 50 KiB.
constexpr std::uint64_t kFirstRead = 128U << 10;
/// A manifest has a few paths of at most 4 KiB; a reader holds it in memory.
constexpr std::uint64_t kMaxManifest = 1U << 20;
/// What earlier versions wrote at most; of a list beyond kMaxHotListBytes the rest is ignored.
constexpr std::uint64_t kMaxHotList = 16U << 20;
/// 34 bytes for each of four million blocks: 512 GiB of compressed data at 128 KiB.
constexpr std::uint64_t kMaxDigests = 128U << 20;

/// Gap from the end of the block before, size, digest. Blocks mostly follow each other, so that
/// a record is about 34 bytes.
ByteVector encode_digests(const std::vector<BlockDigest>& digests) {
    ByteVector out;
    out.reserve(digests.size() * (sizeof(Sha256) + 4));
    std::uint64_t end = 0;
    for (const BlockDigest& block : digests) {
        append_number(out, block.position - end);
        append_number(out, block.size_bytes);
        append(out, ByteView(block.digest));
        end = block.position + block.size_bytes;
    }
    return out;
}

Result<std::vector<BlockDigest>> parse_digests(ByteView bytes) {
    std::vector<BlockDigest> digests;
    std::uint64_t end = 0;
    while (!bytes.empty()) {
        BlockDigest block;
        SQUENV_TRY_ASSIGN(const std::uint64_t gap, take_number(bytes));
        SQUENV_TRY_ASSIGN(const std::uint64_t size, take_number(bytes));
        const auto position = checked_add(end, gap);
        if (!position || *position > format::kMaxFileSize || size == 0 ||
            size > std::numeric_limits<std::uint32_t>::max() || bytes.size() < sizeof(Sha256))
            return fail(Errc::corrupt, "appendix: damaged list of digests");
        block.position = *position;
        block.size_bytes = static_cast<std::uint32_t>(size);
        block.digest = squenv::load<Sha256>(bytes);
        bytes = bytes.subspan(sizeof(Sha256));
        end = block.position + block.size_bytes;
        digests.push_back(block);
    }
    return digests;
}

Sha256 digest_with_blank(RawHeader header, ByteView body) {
    header.digest = {};
    ByteVector bytes;
    bytes.reserve(kHeaderSize + body.size());
    append(bytes, header);
    append(bytes, body);
    return sha256_of(bytes);
}

}  // namespace

ByteVector encode(const Appendix& appendix) {
    const std::string manifest = encode_manifest(appendix.manifest);
    const ByteVector hot_list = encode_hot_list(appendix.hot);
    // More than a reader accepts is left out; the image is as good without.
    ByteVector digests = encode_digests(appendix.digests);
    if (digests.size() > kMaxDigests) digests.clear();

    RawHeader header{};
    header.magic = kMagic;
    header.version = kVersion;
    header.header_size = static_cast<std::uint32_t>(kHeaderSize);
    header.manifest_size = manifest.size();
    header.hot_list_size = hot_list.size();
    header.digests_size = digests.size();
    ByteVector body;
    append(body, as_bytes(manifest));
    append(body, hot_list);
    append(body, digests);
    header.digest = digest_with_blank(header, body);
    ByteVector out;
    append(out, header);
    append(out, body);
    return out;
}

Result<std::optional<Header>> parse_header(ByteView bytes) {
    if (bytes.size() < kHeaderSize) return std::optional<Header>();
    const auto raw = squenv::load<RawHeader>(bytes);
    if (raw.magic != kMagic) return std::optional<Header>();
    if (raw.version != kVersion || raw.header_size != kHeaderSize)
        return fail(Errc::unsupported,
                    fmt::format("appendix version {} is not supported", raw.version.get()),
                    "use a newer squenv");
    if (raw.manifest_size > kMaxManifest || raw.hot_list_size > kMaxHotList ||
        raw.digests_size > kMaxDigests)
        return fail(Errc::corrupt, "appendix: sizes are impossible");
    return std::optional(
        Header{raw.manifest_size, raw.hot_list_size, raw.digests_size, raw.digest});
}

Result<Appendix> parse(ByteView bytes) {
    SQUENV_TRY_ASSIGN(const auto header, parse_header(bytes));
    if (!header) return fail(Errc::corrupt, "appendix: not one");
    if (bytes.size() - kHeaderSize < header->body_size())
        return fail(Errc::corrupt, "appendix: truncated");
    const ByteView body = bytes.subspan(kHeaderSize, header->body_size());
    if (digest_with_blank(squenv::load<RawHeader>(bytes), body) != header->digest)
        return fail(Errc::corrupt, "appendix: does not match its own digest");
    Appendix appendix;
    SQUENV_TRY_ASSIGN(appendix.manifest,
                      parse_manifest(as_text(body.first(header->manifest_size))));
    SQUENV_TRY_ASSIGN(appendix.hot,
                      parse_hot_list(body.subspan(header->manifest_size, header->hot_list_size)));
    SQUENV_TRY_ASSIGN(appendix.digests, parse_digests(body.last(header->digests_size)));
    return appendix;
}

std::uint64_t position_of(std::uint64_t bytes_used) {
    return ceil_div(bytes_used, format::kPadding) * format::kPadding;
}

namespace {

/// The header at `position`, whose sections are inside the file; its bytes are left in `bytes`.
Result<std::optional<Header>> load_header(std::uint64_t position, std::uint64_t image_bytes,
                                          const ReadExact& read, ByteVector& bytes) {
    if (!fits(position, kHeaderSize, image_bytes)) return std::optional<Header>();
    bytes.resize(kHeaderSize);
    SQUENV_TRY(read(position, bytes));
    SQUENV_TRY_ASSIGN(const auto header, parse_header(bytes));
    // The caps bound the allocations to come, the length of the file bounds them further.
    if (header && !fits(position + kHeaderSize, header->body_size(), image_bytes))
        return fail(Errc::corrupt, "appendix: truncated");
    return header;
}

}  // namespace

Result<std::optional<Appendix>> load(std::uint64_t bytes_used, std::uint64_t image_bytes,
                                     const ReadExact& read) {
    const std::uint64_t position = position_of(bytes_used);
    ByteVector bytes;
    SQUENV_TRY_ASSIGN(const auto header, load_header(position, image_bytes, read, bytes));
    if (!header) return std::optional<Appendix>();
    bytes.resize(kHeaderSize + header->body_size());
    SQUENV_TRY(read(position + kHeaderSize, MutableBytes(bytes).subspan(kHeaderSize)));
    SQUENV_TRY_ASSIGN(Appendix appendix, parse(bytes));
    return std::optional(std::move(appendix));
}

Result<std::optional<Manifest>> load_manifest(std::uint64_t bytes_used, std::uint64_t image_bytes,
                                              const ReadExact& read) {
    const std::uint64_t position = position_of(bytes_used);
    ByteVector bytes;
    SQUENV_TRY_ASSIGN(const auto header, load_header(position, image_bytes, read, bytes));
    if (!header) return std::optional<Manifest>();
    bytes.resize(header->manifest_size);
    SQUENV_TRY(read(position + kHeaderSize, bytes));
    SQUENV_TRY_ASSIGN(Manifest manifest, parse_manifest(as_text(bytes)));
    return std::optional(std::move(manifest));
}

Result<std::vector<HotItem>> load_hot_list(std::uint64_t bytes_used, std::uint64_t image_bytes,
                                           const ReadExact& read) {
    const std::uint64_t position = position_of(bytes_used);
    if (!fits(position, kHeaderSize, image_bytes)) return std::vector<HotItem>();
    ByteVector bytes(std::min<std::uint64_t>(kFirstRead, image_bytes - position));
    SQUENV_TRY(read(position, bytes));
    SQUENV_TRY_ASSIGN(const auto header, parse_header(bytes));
    if (!header || header->hot_list_size == 0) return std::vector<HotItem>();
    const std::uint64_t begin = kHeaderSize + header->manifest_size;
    if (begin + header->hot_list_size > image_bytes - position)
        return fail(Errc::corrupt, "appendix: truncated");
    // By one byte more than it takes, the parser knows that there is more.
    const std::uint64_t size = std::min<std::uint64_t>(header->hot_list_size, kMaxHotListBytes + 1);
    const std::uint64_t end = begin + size;
    const std::size_t got = bytes.size();
    if (end > got) {
        bytes.resize(end);
        SQUENV_TRY(read(position + got, MutableBytes(bytes).subspan(got)));
    }
    return parse_hot_list(ByteView(bytes).subspan(begin, size));
}

}  // namespace squenv::appendix
