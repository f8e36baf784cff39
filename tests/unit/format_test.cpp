// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "base/little_endian.h"
#include "format/directory.h"
#include "format/metadata_header.h"
#include "format/tables.h"

namespace squenv::format {
namespace {

TEST(MetadataHeader, EveryLengthComesBackAsItWas) {
    for (std::uint32_t size = 1; size <= kMetadataSize; ++size)
        for (const bool is_compressed : {false, true}) {
            const auto parsed =
                parse_metadata_header(encode_metadata_header({size, is_compressed}));
            ASSERT_TRUE(parsed);
            ASSERT_EQ(parsed->size_bytes, size);
            ASSERT_EQ(parsed->is_compressed, is_compressed);
        }
}

TEST(MetadataHeader, LengthsThatCannotBe) {
    for (const unsigned header : {0U, 0x8000U, 8193U, 0x8000U | 8193U, 0x7FFFU, 0xFFFFU})
        EXPECT_EQ(parse_metadata_header(static_cast<std::uint16_t>(header)).error().code,
                  Errc::corrupt)
            << header;
}

TEST(BlockWord, ComesBackAsItWas) {
    for (const std::uint32_t block_size : {4096U, 1U << 20})
        for (const std::uint32_t size : {1U, 4095U, 4096U, block_size})
            for (const bool is_compressed : {false, true}) {
                const auto parsed =
                    parse_block_word(encode_block_word({size, is_compressed}), block_size);
                ASSERT_TRUE(parsed);
                EXPECT_EQ(parsed->size_bytes, size);
                EXPECT_EQ(parsed->is_compressed, is_compressed);
            }
    EXPECT_EQ(parse_block_word(0, 4096)->size_bytes, 0U);
    EXPECT_EQ(encode_block_word({0, false}), 0U);
}

TEST(BlockWord, WordsThatCannotBe) {
    for (const std::uint32_t word :
         {4097U, 0x01001001U, 0x01000000U, 0x02000001U, 0x80000001U, 0x00FFFFFFU, 0xFFFFFFFFU})
        EXPECT_EQ(parse_block_word(word, 4096).error().code, Errc::corrupt) << word;
}

TEST(DirectoryHeader, ComesBackAsItWas) {
    for (const std::uint32_t count : {1U, 2U, 256U}) {
        ByteVector bytes;
        encode_directory_header(bytes, {count, 0xFFFFFFFF, 12345});
        ASSERT_EQ(bytes.size(), kDirectoryHeaderSize);
        const auto parsed = parse_directory_header(bytes);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->entry_count, count);
        EXPECT_EQ(parsed->inode_block, 0xFFFFFFFFU);
        EXPECT_EQ(parsed->inode_number, 12345U);
    }
    ByteVector bytes;
    encode_directory_header(bytes, {257, 0, 1});
    EXPECT_EQ(parse_directory_header(bytes).error().code, Errc::corrupt);
    encode_directory_header(bytes, {0, 0, 1});
    EXPECT_EQ(parse_directory_header(ByteView(bytes).last(12)).error().code, Errc::corrupt);
}

TEST(DirectoryEntry, ComesBackAsItWas) {
    const std::string longest(kMaxName, 'n');
    for (const std::int16_t delta : std::initializer_list<std::int16_t>{-32768, -1, 0, 32767}) {
        ByteVector bytes;
        encode_directory_entry(bytes, {8191, delta, InodeType::socket, 0}, longest);
        ASSERT_EQ(bytes.size(), kDirectoryEntrySize + longest.size());
        const auto parsed = parse_directory_entry(bytes);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->inode_offset, 8191);
        EXPECT_EQ(parsed->number_delta, delta);
        EXPECT_EQ(parsed->type, InodeType::socket);
        EXPECT_EQ(parsed->name_size, kMaxName);
    }
}

TEST(DirectoryEntry, WhatCannotBe) {
    const auto refused = [](std::size_t position, std::uint16_t value) {
        ByteVector bytes;
        encode_directory_entry(bytes, {0, 0, InodeType::file, 0}, "name");
        bytes[position] = static_cast<std::byte>(value & 0xFF);
        bytes[position + 1] = static_cast<std::byte>(value >> 8);
        const auto parsed = parse_directory_entry(bytes);
        return !parsed && parsed.error().code == Errc::corrupt;
    };
    EXPECT_TRUE(refused(0, 8192));
    EXPECT_TRUE(refused(4, 0));
    EXPECT_TRUE(refused(4, 8));
    EXPECT_TRUE(refused(6, 255));
    EXPECT_TRUE(refused(6, 65535));
    EXPECT_FALSE(refused(6, 254));
}

TEST(Names, OnlyWhatADirectoryCanHold) {
    for (const std::string name : {"a", "...", ".a", "..a", "\xFF\xFE", " ", "-rf", "a\nb"})
        EXPECT_TRUE(check_name(name)) << name;
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("/"), std::string("a/b"),
          std::string("/abs"), std::string("a\0b", 3), std::string("\0", 1)})
        EXPECT_EQ(check_name(name).error().code, Errc::corrupt) << name;
}

Superblock superblock() {
    Superblock sb;
    sb.block_size = 4096;
    sb.bytes_used = 100000;
    sb.xattr_table_start = 90000;
    return sb;
}

TEST(Fragment, ComesBackAsItWas) {
    ByteVector bytes;
    encode_fragment(bytes, {95904, {4096, false}});
    ASSERT_EQ(bytes.size(), kFragmentRecordSize);
    const auto parsed = parse_fragment(bytes, superblock());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->start, 95904U);
    EXPECT_EQ(parsed->stored.size_bytes, 4096U);
    EXPECT_FALSE(parsed->stored.is_compressed);
    bytes[12] = std::byte{0x55};  // leaked stack bytes of old tools
    EXPECT_TRUE(parse_fragment(bytes, superblock()));
}

TEST(Fragment, WhatCannotBe) {
    for (const auto& [start, word] :
         {std::pair{std::uint64_t{95905}, 0x01001000U}, std::pair{~std::uint64_t{0}, 10U},
          std::pair{std::uint64_t{96}, 0U}, std::pair{std::uint64_t{96}, 0x01000000U},
          std::pair{std::uint64_t{96}, 4097U}, std::pair{std::uint64_t{96}, 0x02000001U}}) {
        ByteVector bytes;
        append(bytes, Le64(start));
        append(bytes, Le32(word));
        append(bytes, Le32(0));
        EXPECT_EQ(parse_fragment(bytes, superblock()).error().code, Errc::corrupt) << word;
    }
}

TEST(XattrHeader, ComesBackAsItWas) {
    ByteVector bytes;
    encode_xattr_header(bytes, {80000, 512});
    const auto parsed = parse_xattr_header(bytes, superblock());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->pairs_start, 80000U);
    EXPECT_EQ(parsed->id_count, 512U);
}

TEST(XattrHeader, WhatCannotBe) {
    for (const auto& [start, count] :
         {std::pair{std::uint64_t{80000}, 0U}, std::pair{std::uint64_t{90000}, 1U},
          std::pair{~std::uint64_t{0}, 1U}, std::pair{std::uint64_t{80000}, 4294967071U},
          std::pair{std::uint64_t{80000}, ~0U}}) {
        ByteVector bytes;
        encode_xattr_header(bytes, {start, count});
        EXPECT_EQ(parse_xattr_header(bytes, superblock()).error().code, Errc::corrupt) << count;
    }
}

TEST(XattrRecords, ComeBackAsTheyWere) {
    ByteVector set_bytes;
    encode_xattr_set(set_bytes, {Reference{123, 456}, 7, 89});
    const auto set = parse_xattr_set(set_bytes);
    EXPECT_EQ(set.pairs, (Reference{123, 456}));
    EXPECT_EQ(set.pair_count, 7U);
    EXPECT_EQ(set.size_bytes, 89U);
    for (const bool is_out_of_line : {false, true}) {
        ByteVector key_bytes;
        encode_xattr_key(key_bytes, {2, is_out_of_line, 65535});
        const auto key = parse_xattr_key(key_bytes);
        EXPECT_EQ(key.prefix_id, 2);
        EXPECT_EQ(key.is_out_of_line, is_out_of_line);
        EXPECT_EQ(key.name_size, 65535);
    }
    EXPECT_EQ(xattr_prefix(0), "user.");
    EXPECT_EQ(xattr_prefix(1), "trusted.");
    EXPECT_EQ(xattr_prefix(2), "security.");
    EXPECT_EQ(xattr_prefix(3), std::nullopt);
    EXPECT_EQ(xattr_prefix(0x00FF), std::nullopt);
}

TEST(CompressorOptions, AreDescribed) {
    const auto text = [](CompressorId id, int level) {
        return describe_compressor_options(id, encode_compressor_options(id, level)).value();
    };
    EXPECT_EQ(text(CompressorId::gzip, 3), "level 3, window 15 bits");
    EXPECT_EQ(text(CompressorId::zstd, 22), "level 22");
    EXPECT_EQ(text(CompressorId::zstd, -5), "level -5");
    EXPECT_EQ(text(CompressorId::lz4, 0), "version 1");
    EXPECT_EQ(text(CompressorId::lz4, 9), "version 1, high compression");
    EXPECT_EQ(text(CompressorId::lzo, 1), "algorithm 4, level 1");
}

TEST(CompressorOptions, DefaultsNeedNoBlock) {
    EXPECT_TRUE(encode_compressor_options(CompressorId::gzip, 9).empty());
    EXPECT_TRUE(encode_compressor_options(CompressorId::zstd, 15).empty());
    EXPECT_TRUE(encode_compressor_options(CompressorId::xz, 6).empty());
    EXPECT_TRUE(encode_compressor_options(CompressorId::lzo, 8).empty());
    EXPECT_FALSE(encode_compressor_options(CompressorId::lz4, 0).empty());
}

TEST(CompressorOptions, ShortBlocksAreCorrupt) {
    for (std::uint16_t id = 1; id <= 6; ++id)
        for (std::size_t size = 0; size < 4; ++size)
            EXPECT_EQ(describe_compressor_options(CompressorId{id}, ByteVector(size)).error().code,
                      Errc::corrupt)
                << id;
}

}  // namespace
}  // namespace squenv::format
