// SPDX-License-Identifier: MIT
#include "format/directory.h"

#include <fmt/core.h>

#include "base/little_endian.h"

namespace squenv::format {

namespace {

struct RawDirectoryHeader {
    Le32 count_less_one;
    Le32 inode_block;
    Le32 inode_number;
};
struct RawDirectoryEntry {
    Le16 inode_offset;
    LeS16 number_delta;
    Le16 type;
    Le16 name_size_less_one;
};
static_assert(sizeof(RawDirectoryHeader) == kDirectoryHeaderSize);
static_assert(sizeof(RawDirectoryEntry) == kDirectoryEntrySize);

}  // namespace

Result<DirectoryHeader> parse_directory_header(ByteView bytes) {
    const auto raw = load<RawDirectoryHeader>(bytes);
    if (raw.count_less_one >= kMaxRunEntries)
        return fail(Errc::corrupt, fmt::format("directory run of {} entries",
                                               std::uint64_t{raw.count_less_one} + 1));
    return DirectoryHeader{raw.count_less_one + 1, raw.inode_block, raw.inode_number};
}

void encode_directory_header(ByteVector& out, const DirectoryHeader& header) {
    append(out,
           RawDirectoryHeader{header.entry_count - 1, header.inode_block, header.inode_number});
}

Result<DirectoryEntry> parse_directory_entry(ByteView bytes) {
    const auto raw = load<RawDirectoryEntry>(bytes);
    const std::uint16_t type = raw.type;
    if (type < 1 || type > 7)
        return fail(Errc::corrupt, fmt::format("directory entry of type {}", type));
    if (raw.name_size_less_one >= kMaxName)
        return fail(Errc::corrupt,
                    fmt::format("name of {} bytes", std::uint32_t{raw.name_size_less_one} + 1));
    if (raw.inode_offset >= kMetadataSize)
        return fail(Errc::corrupt, fmt::format("inode offset {}", raw.inode_offset.get()));
    return DirectoryEntry{raw.inode_offset, raw.number_delta, static_cast<InodeType>(type),
                          static_cast<std::uint16_t>(raw.name_size_less_one + 1)};
}

void encode_directory_entry(ByteVector& out, const DirectoryEntry& entry, std::string_view name) {
    append(out, RawDirectoryEntry{entry.inode_offset, entry.number_delta,
                                  static_cast<std::uint16_t>(entry.type),
                                  static_cast<std::uint16_t>(name.size() - 1)});
    append(out, as_bytes(name));
}

Status check_name(std::string_view name) {
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos)
        return fail(Errc::corrupt, "a name that no directory can hold");
    return {};
}

}  // namespace squenv::format
