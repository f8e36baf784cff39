// SPDX-License-Identifier: MIT
#include "format/superblock.h"

#include <gtest/gtest.h>

#include "base/little_endian.h"

namespace squenv::format {
namespace {

constexpr std::uint64_t kImageBytes = 8192;

Superblock valid() {
    Superblock sb;
    sb.inode_count = 3;
    sb.mkfs_time = 1'700'000'000;
    sb.block_size = 131072;
    sb.block_log = 17;
    sb.fragment_count = 1;
    sb.compressor = CompressorId::zstd;
    sb.flags = kFlagDuplicatesRemoved | kFlagExportable;
    sb.id_count = 2;
    sb.root_inode = Reference{0, 64};
    sb.bytes_used = 4000;
    sb.inode_table_start = 1000;
    sb.directory_table_start = 2000;
    sb.fragment_table_start = 2500;
    sb.export_table_start = 3000;
    sb.id_table_start = 3500;
    sb.xattr_table_start = 3900;
    return sb;
}

Result<Superblock> reparse(const Superblock& sb) {
    return parse_superblock(encode_superblock(sb), kImageBytes);
}

void expect_refused(const Superblock& sb, Errc code, const char* what) {
    const auto parsed = reparse(sb);
    ASSERT_FALSE(parsed) << what;
    EXPECT_EQ(parsed.error().code, code) << what << ": " << parsed.error().message();
}

TEST(Superblock, ComesBackAsItWas) {
    const Superblock sb = valid();
    const auto parsed = reparse(sb);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(encode_superblock(*parsed), encode_superblock(sb));
    EXPECT_TRUE(parsed->has_xattrs());
    EXPECT_TRUE(parsed->has_export_table());
}

TEST(Superblock, OptionalTablesMayBeMissing) {
    Superblock sb = valid();
    sb.xattr_table_start = sb.export_table_start = sb.fragment_table_start = kNoTable;
    sb.fragment_count = 0;
    const auto parsed = reparse(sb);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_FALSE(parsed->has_xattrs());
    EXPECT_FALSE(parsed->has_export_table());
    sb.fragment_table_start = 77;  // ignored without fragments
    EXPECT_TRUE(reparse(sb));
}

TEST(Superblock, EveryCompressorHasAName) {
    for (std::uint16_t id = 1; id <= 6; ++id) {
        Superblock sb = valid();
        sb.compressor = static_cast<CompressorId>(id);
        EXPECT_TRUE(reparse(sb)) << id;
        EXPECT_STRNE(compressor_name(sb.compressor), "unknown");
    }
    EXPECT_STREQ(compressor_name(CompressorId::gzip), "gzip");
    EXPECT_STREQ(compressor_name(static_cast<CompressorId>(0)), "unknown");
}

TEST(Superblock, EveryBlockSizeOfTheFormat) {
    for (std::uint16_t log = kMinBlockLog; log <= kMaxBlockLog; ++log) {
        Superblock sb = valid();
        sb.block_log = log;
        sb.block_size = 1U << log;
        EXPECT_TRUE(reparse(sb)) << log;
    }
}

TEST(Superblock, OtherFilesAreNotImages) {
    EXPECT_EQ(parse_superblock(ByteVector(96), 96).error().code, Errc::unsupported);
    EXPECT_EQ(parse_superblock(ByteVector(95), 95).error().code, Errc::unsupported);
    EXPECT_EQ(magic_of(ByteVector(3)), 0U);
    EXPECT_EQ(magic_of(encode_superblock(valid())), kMagic);
}

TEST(Superblock, ImpossibleNumbersAreRefused) {
    const auto refused = [](Errc code, const char* what, auto change) {
        Superblock sb = valid();
        change(sb);
        expect_refused(sb, code, what);
    };
    refused(Errc::corrupt, "no inodes", [](auto& sb) { sb.inode_count = 0; });
    refused(Errc::corrupt, "no ids", [](auto& sb) { sb.id_count = 0; });
    refused(Errc::corrupt, "compressor 0", [](auto& sb) { sb.compressor = CompressorId{0}; });
    refused(Errc::corrupt, "compressor 7", [](auto& sb) { sb.compressor = CompressorId{7}; });
    refused(Errc::corrupt, "block size 0", [](auto& sb) { sb.block_size = 0; });
    refused(Errc::corrupt, "block size 5000", [](auto& sb) { sb.block_size = 5000; });
    refused(Errc::corrupt, "block size 2048", [](auto& sb) {
        sb.block_size = 2048;
        sb.block_log = 11;
    });
    refused(Errc::unsupported, "block size 2 MiB", [](auto& sb) {
        sb.block_size = 1U << 21;
        sb.block_log = 21;
    });
    refused(Errc::corrupt, "logarithm", [](auto& sb) { sb.block_log = 16; });
    refused(Errc::corrupt, "logarithm 49", [](auto& sb) { sb.block_log = 49; });
    refused(Errc::corrupt, "logarithm 65535", [](auto& sb) { sb.block_log = 65535; });
    refused(Errc::corrupt, "shorter than itself", [](auto& sb) { sb.bytes_used = 95; });
    refused(Errc::corrupt, "longer than the file",
            [](auto& sb) { sb.bytes_used = kImageBytes + 1; });
    refused(Errc::corrupt, "negative length", [](auto& sb) { sb.bytes_used = 1ULL << 63; });
    refused(Errc::corrupt, "all ones", [](auto& sb) { sb.bytes_used = ~0ULL; });
    refused(Errc::corrupt, "root offset 8192", [](auto& sb) { sb.root_inode.offset = 8192; });
    refused(Errc::corrupt, "root behind the table", [](auto& sb) { sb.root_inode.block = 1000; });
    refused(Errc::corrupt, "inode table in the superblock",
            [](auto& sb) { sb.inode_table_start = 95; });
    refused(Errc::corrupt, "no id table", [](auto& sb) { sb.id_table_start = kNoTable; });
    refused(Errc::corrupt, "id list reaches into the xattrs",
            [](auto& sb) { sb.id_table_start = 3893; });
    refused(Errc::corrupt, "xattr header reaches over the end",
            [](auto& sb) { sb.xattr_table_start = 3985; });
    refused(Errc::corrupt, "many inodes", [](auto& sb) { sb.inode_count = ~0U; });
    refused(Errc::corrupt, "many fragments", [](auto& sb) { sb.fragment_count = ~0U; });
}

TEST(Superblock, TablesOutOfOrderAreRefused) {
    const auto refused = [](const char* what, auto member) {
        for (const std::uint64_t value :
             {std::uint64_t{1} << 63, std::uint64_t{4001}, ~std::uint64_t{1}}) {
            Superblock sb = valid();
            sb.*member = value;
            expect_refused(sb, Errc::corrupt, what);
        }
    };
    refused("id", &Superblock::id_table_start);
    refused("xattr", &Superblock::xattr_table_start);
    refused("inode", &Superblock::inode_table_start);
    refused("directory", &Superblock::directory_table_start);
    refused("fragment", &Superblock::fragment_table_start);
    refused("export", &Superblock::export_table_start);
    Superblock swapped = valid();
    std::swap(swapped.inode_table_start, swapped.directory_table_start);
    expect_refused(swapped, Errc::corrupt, "inodes behind directories");
}

TEST(Superblock, OnlyVersion40) {
    for (const auto& [position, value] : {std::pair{28, 3}, std::pair{28, 5}, std::pair{30, 1}}) {
        ByteVector bytes = encode_superblock(valid());
        bytes[static_cast<std::size_t>(position)] = static_cast<std::byte>(value);
        const auto parsed = parse_superblock(bytes, kImageBytes);
        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().code, Errc::unsupported);
        EXPECT_NE(parsed.error().context.find("version"), std::string::npos);
    }
}

}  // namespace
}  // namespace squenv::format
