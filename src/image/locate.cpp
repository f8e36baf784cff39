// SPDX-License-Identifier: MIT
#include "image/locate.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "base/checked.h"
#include "base/little_endian.h"
#include "format/superblock.h"

namespace squenv::image {

namespace {

constexpr std::string_view kSifMagic = "SIF_MAGIC";
constexpr std::uint64_t kSifMagicPosition = 32;
/// Descriptor types and partition file systems of the SIF specification.
constexpr std::uint32_t kSifPartition = 0x4004;
constexpr std::uint32_t kSifSquashfs = 1;
/// Far more than any container has; bounds the scan of a damaged header.
constexpr std::uint64_t kMaxSifDescriptors = 4096;

struct RawSifHeader {
    std::byte launch_script[32];
    std::byte magic[10];
    std::byte version[3];
    std::byte architecture[3];
    std::byte id[16];
    Le64 created;
    Le64 modified;
    Le64 free_descriptors;
    Le64 descriptor_count;
    Le64 descriptors_start;
    Le64 descriptors_size;
    Le64 data_start;
    Le64 data_size;
};
static_assert(sizeof(RawSifHeader) == 128);

struct RawSifDescriptor {
    Le32 type;
    std::uint8_t is_used;
    Le32 id;
    Le32 group;
    Le32 link;
    Le64 file_offset;
    Le64 file_size;
    Le64 stored_size;
    Le64 created;
    Le64 modified;
    Le64 uid;
    Le64 gid;
    std::byte name[128];
    Le32 partition_file_system;
    Le32 partition_kind;
    std::byte rest[376];
};
static_assert(sizeof(RawSifDescriptor) == 585);

template <class T>
std::optional<T> read_at(const ByteSource& source, std::uint64_t position) {
    T value;
    if (!fits(position, sizeof value, source.size_bytes())) return std::nullopt;
    if (!source.read_exact(position, std::as_writable_bytes(std::span(&value, 1))))
        return std::nullopt;
    return value;
}

bool has_image_at(const ByteSource& source, std::uint64_t position) {
    const auto magic = read_at<Le32>(source, position);
    return magic && *magic == format::kMagic;
}

bool is_elf(const ByteSource& source) {
    const auto head = read_at<std::array<char, 4>>(source, 0);
    return head && std::string_view(head->data(), 4) == std::string_view(ELFMAG, 4);
}

bool is_sif(const ByteSource& source) {
    const auto header = read_at<RawSifHeader>(source, 0);
    return header && as_text(ByteView(header->magic).first(kSifMagic.size())) == kSifMagic;
}

/// Where the sections and the section table of an ELF file of this machine's kind end.
template <class Header, class Section>
std::optional<std::uint64_t> elf_end(const ByteSource& source) {
    const auto header = read_at<Header>(source, 0);
    if (!header || header->e_shentsize != sizeof(Section)) return std::nullopt;
    std::uint64_t end =
        std::uint64_t{header->e_shoff} + std::uint64_t{header->e_shnum} * sizeof(Section);
    for (unsigned i = 0; i < header->e_shnum; ++i) {
        const auto section = read_at<Section>(source, header->e_shoff + i * sizeof(Section));
        if (!section) return std::nullopt;
        if (section->sh_type != SHT_NOBITS)
            end = std::max<std::uint64_t>(
                end, std::uint64_t{section->sh_offset} + std::uint64_t{section->sh_size});
    }
    return end;
}

std::optional<std::uint64_t> appimage_offset(const ByteSource& source) {
    const auto ident = read_at<std::array<unsigned char, EI_NIDENT>>(source, 0);
    if (!ident || (*ident)[EI_DATA] != ELFDATA2LSB) return std::nullopt;
    const auto end = (*ident)[EI_CLASS] == ELFCLASS64 ? elf_end<Elf64_Ehdr, Elf64_Shdr>(source)
                                                      : elf_end<Elf32_Ehdr, Elf32_Shdr>(source);
    if (!end || !has_image_at(source, *end)) return std::nullopt;
    return end;
}

std::optional<std::uint64_t> sif_offset(const ByteSource& source) {
    const auto header = read_at<RawSifHeader>(source, 0);
    if (!header) return std::nullopt;
    const std::uint64_t count =
        std::min<std::uint64_t>(header->descriptor_count, kMaxSifDescriptors);
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto start = checked_add(header->descriptors_start, i * sizeof(RawSifDescriptor));
        if (!start) break;
        const auto descriptor = read_at<RawSifDescriptor>(source, *start);
        if (!descriptor) break;
        if (descriptor->is_used != 0 && descriptor->type == kSifPartition &&
            descriptor->partition_file_system == kSifSquashfs &&
            has_image_at(source, descriptor->file_offset))
            return descriptor->file_offset.get();
    }
    return std::nullopt;
}

}  // namespace

Result<std::uint64_t> find_image_offset(const ByteSource& source) {
    if (const auto magic = read_at<Le32>(source, 0);
        magic && (*magic == format::kMagic || *magic == format::kStreamedMagic))
        return 0;
    std::optional<std::uint64_t> offset;
    if (is_elf(source)) offset = appimage_offset(source);
    if (is_sif(source)) offset = sif_offset(source);
    if (offset) return *offset;
    return fail(
        Errc::unsupported, "no squashfs image found in it",
        "offset=auto knows plain images, AppImages and SIF files; give the offset in bytes");
}

std::string describe_container(const ByteSource& source) {
    if (is_sif(source) && sif_offset(source)) return "a SIF container";
    if (is_elf(source) && appimage_offset(source)) return "an AppImage";
    return {};
}

}  // namespace squenv::image
