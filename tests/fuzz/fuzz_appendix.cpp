// SPDX-License-Identifier: MIT
// Any bytes as the appendix of an image, and as each section of one. What is read is written and
// read as the same, is within its bounds, and stays inside the image.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "appendix/appendix.h"
#include "appendix/hot_list.h"
#include "appendix/manifest.h"
#include "base/checked.h"
#include "base/little_endian.h"
#include "format/bounds.h"
#include "format/directory.h"
#include "target.h"

namespace squenv::fuzz {
namespace {

using appendix::Appendix;
using appendix::BlockDigest;
using appendix::HotItem;
using appendix::Manifest;

// Offsets in the header, see squenv-image(5).
constexpr std::size_t kDigestsSizeAt = 32;
constexpr std::ptrdiff_t kDigestAt = 48;
/// Of an image that is a superblock alone.
constexpr std::uint64_t kBytesUsed = 96;

void require_refusal(const Error& error) {
    require_code(error, {Errc::corrupt, Errc::unsupported, Errc::limit});
}

/// What encode_manifest() keeps: the facts of an environment are written for one only.
Manifest written(Manifest manifest) {
    if (!manifest.python_version.empty()) return manifest;
    manifest.python_home.clear();
    manifest.is_relocatable = false;
    return manifest;
}

/// "." or names that a directory can hold, joined by single slashes.
bool stays_inside(std::string_view path) {
    if (path == ".") return true;
    while (true) {
        const auto slash = path.find('/');
        if (!format::check_name(path.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

void check(const HotItem& item) {
    if (item.kind != HotItem::Kind::range) {
        require(item.kind == HotItem::Kind::directory || item.kind == HotItem::Kind::missing,
                "an item of the hot list is of a kind that is documented");
        require(stays_inside(item.path), "a path of the hot list stays inside the image");
        return;
    }
    constexpr std::uint64_t kMaxReference = (std::uint64_t{1} << 48) - 1;
    require(item.reference <= kMaxReference, "a reference has 48 bits");
    require(item.size_bytes != 0 && fits(item.offset, item.size_bytes, format::kMaxFileSize),
            "a hot range is not empty and lies in what a file can have");
}

void check(const Manifest& manifest) {
    require(manifest.mount_point.find('\0') == std::string::npos &&
                manifest.python_home.find('\0') == std::string::npos,
            "a path of a manifest has no NUL");
    const auto again = appendix::parse_manifest(appendix::encode_manifest(manifest));
    require(again && *again == written(manifest), "a manifest is written and read as the same");
}

void check(const std::vector<HotItem>& items) {
    for (const HotItem& item : items) check(item);
    const auto again = appendix::parse_hot_list(appendix::encode_hot_list(items));
    require(again && *again == items, "a hot list is written and read as the same");
}

void check(const std::vector<BlockDigest>& digests) {
    std::uint64_t end = 0;
    for (const BlockDigest& block : digests) {
        require(block.position >= end && block.position <= format::kMaxFileSize,
                "digests are sorted, without overlap, inside what a file can have");
        require(block.size_bytes != 0, "a digest is of something");
        end = block.position + block.size_bytes;
    }
}

void check(const Appendix& whole) {
    check(whole.manifest);
    check(whole.hot);
    check(whole.digests);
    Appendix expected = whole;
    expected.manifest = written(whole.manifest);
    const auto again = appendix::parse(appendix::encode(whole));
    require(again && *again == expected, "an appendix is written and read as the same");
}

/// `bytes` following an image, read in each of the ways there are.
void check_readers(ByteView bytes) {
    const std::uint64_t begin = appendix::position_of(kBytesUsed);
    const std::uint64_t end = begin + bytes.size();
    const appendix::ReadExact read = [&](std::uint64_t position, MutableBytes out) -> Status {
        require(position >= begin && fits(position, out.size(), end),
                "a reader asks for bytes of the file only");
        if (!out.empty()) std::memcpy(out.data(), bytes.data() + (position - begin), out.size());
        return {};
    };
    const auto manifest = appendix::load_manifest(kBytesUsed, end, read);
    if (!manifest) require_refusal(manifest.error());
    const auto hot = appendix::load_hot_list(kBytesUsed, end, read);
    if (!hot) require_refusal(hot.error());
    const auto whole = appendix::load(kBytesUsed, end, read);
    if (!whole) require_refusal(whole.error());
    if (!whole || !*whole) return;
    check(**whole);
    require(manifest && *manifest == (*whole)->manifest, "the manifest alone is that of the whole");
    require(hot && *hot == (*whole)->hot, "the hot list alone is that of the whole");
}

/// `bytes` with the digest that belongs to them, which chance does not find; nothing when they are
/// no appendix.
std::optional<ByteVector> sealed(ByteView bytes) {
    const auto header = appendix::parse_header(bytes);
    if (!header) require_refusal(header.error());
    if (!header || !*header || bytes.size() - appendix::kHeaderSize < (*header)->body_size())
        return std::nullopt;
    const ByteView all = bytes.first(appendix::kHeaderSize + (*header)->body_size());
    ByteVector whole(all.begin(), all.end());
    std::fill_n(whole.begin() + kDigestAt, sizeof(Sha256), std::byte{0});
    const Sha256 digest = sha256_of(whole);
    std::copy(digest.begin(), digest.end(), whole.begin() + kDigestAt);
    return whole;
}

/// An appendix whose list of digests is `digests`, not sealed.
ByteVector with_digests(ByteView digests) {
    ByteVector bytes = appendix::encode(Appendix{});
    const Le64 size(digests.size());
    std::memcpy(bytes.data() + kDigestsSizeAt, &size, sizeof size);
    append(bytes, digests);
    return bytes;
}

Appendix example() {
    Appendix all;
    all.manifest.mount_point = "/home/user/.venv";
    all.manifest.tool_version = "0.1.0";
    all.manifest.codec = "zstd";
    all.manifest.level = 3;
    all.manifest.block_size = 262144;
    all.manifest.python_version = "3.11.2";
    all.manifest.python_home = "/usr/bin";
    all.manifest.is_relocatable = true;
    using Kind = HotItem::Kind;
    all.hot = {{Kind::directory, ".", 0, 0, 0},
               {Kind::range, {}, 0x12345678, 1U << 20, 131072},
               {Kind::missing, "lib/python3.11/none.so", 0, 0, 0}};
    all.digests = {{0, 96, sha256_of(as_bytes("a"))},
                   {96, 70000, sha256_of(as_bytes("b"))},
                   {std::uint64_t{1} << 40, 1, sha256_of(as_bytes("c"))}};
    return all;
}

}  // namespace

std::vector<ByteVector> seeds() {
    const Appendix all = example();
    const ByteVector whole = appendix::encode(all);
    require(appendix::parse(whole).has_value(), "what the packer writes is read");
    Appendix digests_only;
    digests_only.digests = all.digests;
    const ByteVector without_lists = appendix::encode(Appendix{});
    const ByteVector with_one = appendix::encode(digests_only);
    return {whole, without_lists, bytes_of(appendix::encode_manifest(all.manifest)),
            appendix::encode_hot_list(all.hot),
            ByteVector(with_one.begin() + static_cast<std::ptrdiff_t>(without_lists.size()),
                       with_one.end())};
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace squenv;
    using namespace squenv::fuzz;
    const ByteView bytes = fuzz::view(data, size);
    if (const auto manifest = appendix::parse_manifest(as_text(bytes)))
        check(*manifest);
    else
        require_refusal(manifest.error());
    if (const auto hot = appendix::parse_hot_list(bytes))
        check(*hot);
    else
        require_refusal(hot.error());
    check_readers(bytes);
    if (const auto whole = sealed(bytes)) check_readers(*whole);
    if (const auto whole = sealed(with_digests(bytes))) check_readers(*whole);
    return 0;
}
