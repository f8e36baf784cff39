// SPDX-License-Identifier: MIT
// Damaged superblocks and tables: refused at open, or harmless.
#include "rows.h"

namespace squenv::test {
namespace {

using BuildChange = std::function<void(ImageBuilder&)>;

class Superblock : public RowTest {};
TEST_P(Superblock, Row) {
    run(GetParam());
}

constexpr std::uint64_t kTop = std::uint64_t{1} << 63;

/// Moves the end of the image to `bytes_used`, as `image` without padding has it.
void cut(BuiltImage& built) {
    built.bytes.resize(built.get("superblock.bytes_used"));
}

const Row kRows[] = {
    {"unchanged", nullptr, accept()},
    {"cut_to_bytes_used", cut, accept()},
    {"junk_behind_bytes_used",
     [](BuiltImage& b) { b.bytes.insert(b.bytes.end(), 100000, std::byte{0xA7}); }, accept()},
    {"junk_in_the_padding",
     [](BuiltImage& b) {
         std::fill(b.bytes.begin() + static_cast<std::ptrdiff_t>(b.get("superblock.bytes_used")),
                   b.bytes.end(), std::byte{0xA7});
     },
     accept()},
    {"advisory_flags_flipped", set("superblock.flags", 0xFFFF & ~0x0400), accept()},
    {"advisory_flags_cleared", set("superblock.flags", 0), accept()},
    {"announced_options_are_missing", set("superblock.flags", 0x0400), refuse()},
    {"cut_one_byte_short",
     [](BuiltImage& b) { b.bytes.resize(b.get("superblock.bytes_used") - 1); }, refuse()},
    {"cut_to_the_superblock", [](BuiltImage& b) { b.bytes.resize(96); }, refuse()},
    {"cut_inside_the_superblock", [](BuiltImage& b) { b.bytes.resize(95); },
     refuse(Errc::unsupported)},
    {"no_bytes", [](BuiltImage& b) { b.bytes.clear(); }, refuse(Errc::unsupported)},
    {"other_magic", set("superblock.magic", 0x12345678), refuse(Errc::unsupported)},
    {"big_endian_magic", set("superblock.magic", 0x68737173), refuse(Errc::unsupported)},
    {"version_4_1", set("superblock.version_minor", 1), refuse(Errc::unsupported)},
    {"version_3_0", set("superblock.version_major", 3), refuse(Errc::unsupported)},
    {"compressor_0", set("superblock.compressor", 0), refuse()},
    {"compressor_7", set("superblock.compressor", 7), refuse()},
    {"lz4_without_options", set("superblock.compressor", 5), refuse()},
    {"block_log_differs", set("superblock.block_log", 13), refuse()},
    {"block_log_huge", set("superblock.block_log", 0xFFFF), refuse()},
    {"block_log_32", set("superblock.block_log", 32), refuse()},
    {"block_size_0", set("superblock.block_size", 0), refuse()},
    {"block_size_2048",
     [](BuiltImage& b) {
         b.set("superblock.block_size", 2048);
         b.set("superblock.block_log", 11);
     },
     refuse()},
    {"block_size_5000", set("superblock.block_size", 5000), refuse()},
    {"block_size_2_mib",
     [](BuiltImage& b) {
         b.set("superblock.block_size", 1 << 21);
         b.set("superblock.block_log", 21);
     },
     refuse(Errc::unsupported)},
    {"no_inodes", set("superblock.inode_count", 0), refuse()},
    {"inodes_all_ones", set("superblock.inode_count", 0xFFFFFFFF), refuse()},
    {"inodes_all_ones_without_export_table",
     [](BuiltImage& b) {
         b.set("superblock.inode_count", 0xFFFFFFFF);
         b.set("superblock.export_table_start", ~0ULL);
     },
     refuse()},
    {"inodes_one_too_few",
     [](BuiltImage& b) { b.set("superblock.inode_count", b.get("superblock.inode_count") - 1); },
     eio({"xlink"})},
    {"inodes_more_than_there_are", set("superblock.inode_count", 200), accept()},
    {"fragments_all_ones", set("superblock.fragment_count", 0xFFFFFFFF), refuse()},
    {"fragments_half_of_all", set("superblock.fragment_count", 0x80000000), refuse()},
    {"fragments_wrap_to_few", set("superblock.fragment_count", 0x10000001), refuse()},
    {"fragments_none_but_used", set("superblock.fragment_count", 0),
     eio({"big", "dir/a", "dir/b", "dir/c/leaf", "hard1", "hard2", "small", "xattrs"})},
    {"fragment_table_missing_but_used", set("superblock.fragment_table_start", ~0ULL), refuse()},
    {"no_ids", set("superblock.id_count", 0), refuse()},
    {"ids_more_than_there_are", set("superblock.id_count", 65535), refuse()},
    {"export_table_missing_though_there", set("superblock.export_table_start", ~0ULL), accept()},
    {"xattr_table_missing_though_there",
     [](BuiltImage& b) {
         b.set("superblock.xattr_table_start", ~0ULL);
         b.xattrs.clear();
     },
     accept()},
    {"bytes_used_negative", set("superblock.bytes_used", kTop), refuse()},
    {"bytes_used_all_ones", set("superblock.bytes_used", ~0ULL), refuse()},
    {"bytes_used_0", set("superblock.bytes_used", 0), refuse()},
    {"bytes_used_96", set("superblock.bytes_used", 96), refuse()},
    {"bytes_used_behind_the_file", set("superblock.bytes_used", 1ULL << 40), refuse()},
    {"root_offset_behind_the_block", set("superblock.root_inode", 8191), refuse()},
    {"root_offset_8193", set("superblock.root_inode", 8193), refuse()},
    {"root_offset_65535", set("superblock.root_inode", 65535), refuse()},
    {"root_block_behind_the_table", set("superblock.root_inode", 100000ULL << 16), refuse()},
    {"root_reference_negative", set("superblock.root_inode", kTop), refuse()},
    {"root_reference_all_ones", set("superblock.root_inode", ~0ULL), refuse()},
    {"root_is_a_file", [](BuiltImage& b) { b.set("superblock.root_inode", b.get("export:1")); },
     refuse()},
    {"gaps_between_parts", nullptr, accept(), nullptr,
     [] {
         BuildOptions options;
         options.gap = 5000;
         return options;
     }()},
    {"gap_before_the_id_list", nullptr, accept(), nullptr,
     [] {
         BuildOptions options;
         options.gap_before_ids = 8;
         return options;
     }()},
    {"gap_behind_the_export_list", nullptr, accept(), nullptr,
     [] {
         BuildOptions options;
         options.gap_after_exports = 8;
         return options;
     }()},
};
INSTANTIATE_TEST_SUITE_P(Rows, Superblock, testing::ValuesIn(kRows), row_name);

/// Every start field, negative, all ones less one, behind the image, and swapped with another.
class Starts : public testing::TestWithParam<const char*> {};

TEST_P(Starts, OutsideTheImageIsRefused) {
    const std::string field = std::string("superblock.") + GetParam();
    for (const std::uint64_t value :
         {kTop, kTop + 5000, ~std::uint64_t{1}, ~std::uint64_t{0} - 15, std::uint64_t{1} << 32}) {
        auto built = sample_tree().build();
        built.set(field, value);
        expect_verdict(built, refuse());
    }
}

TEST_P(Starts, InTheWrongOrderIsRefused) {
    const std::string field = std::string("superblock.") + GetParam();
    for (const char* other : {"inode_table_start", "directory_table_start", "fragment_table_start",
                              "export_table_start", "id_table_start", "xattr_table_start"}) {
        if (field == std::string("superblock.") + other) continue;
        auto built = sample_tree().build();
        const auto mine = built.get(field);
        built.set(field, built.get(std::string("superblock.") + other));
        built.set(std::string("superblock.") + other, mine);
        SCOPED_TRACE(other);
        expect_verdict(built, refuse());
    }
}
INSTANTIATE_TEST_SUITE_P(All, Starts,
                         testing::Values("inode_table_start", "directory_table_start",
                                         "fragment_table_start", "export_table_start",
                                         "id_table_start", "xattr_table_start"),
                         [](const auto& row) { return std::string(row.param); });

class Tables : public RowTest {};
TEST_P(Tables, Row) {
    run(GetParam());
}

const std::vector<std::string> kWithTail{"big",   "dir/a", "dir/b", "dir/c/leaf",
                                         "hard1", "hard2", "small", "xattrs"};
const std::vector<std::string> kWithXattrs{"xattrs", "xlink"};

const Row kTableRows[] = {
    {"id_list_behind_the_image", set("list:ids#0", kTop), refuse()},
    {"id_list_into_the_superblock", set("list:ids#0", 0), refuse()},
    {"id_list_at_itself",
     [](BuiltImage& b) { b.set("list:ids#0", b.get("superblock.id_table_start")); }, refuse()},
    {"id_block_empty", set("metadata:ids#0", 0x8000), refuse()},
    {"id_block_too_short", set("metadata:ids#0", 0x8004), refuse()},
    {"fragment_list_behind_the_image", set("list:fragments#0", kTop), eio(kWithTail)},
    {"fragment_list_at_itself",
     [](BuiltImage& b) { b.set("list:fragments#0", b.get("superblock.fragment_table_start")); },
     eio(kWithTail)},
    {"fragment_block_too_short", set("metadata:fragments#0", 0x8008), eio(kWithTail)},
    {"fragment_start_behind_the_image", set("fragment:0.start", 1ULL << 40), eio(kWithTail)},
    {"fragment_start_negative", set("fragment:0.start", kTop), eio(kWithTail)},
    {"fragment_start_all_ones", set("fragment:0.start", ~0ULL), eio(kWithTail)},
    {"fragment_size_0", set("fragment:0.size", 0), eio(kWithTail)},
    {"fragment_size_0_uncompressed", set("fragment:0.size", 0x01000000), eio(kWithTail)},
    {"fragment_size_over_a_block", set("fragment:0.size", 0x01001001), eio(kWithTail)},
    {"fragment_size_unknown_bit", set("fragment:0.size", 0x02000010), eio(kWithTail)},
    {"fragment_said_to_be_compressed",
     [](BuiltImage& b) { b.set("fragment:0.size", b.get("fragment:0.size") & 0xFFFFFF); },
     eio(kWithTail)},
    {"fragment_block_shorter_than_its_last_tail",
     [](BuiltImage& b) { b.set("fragment:0.size", b.get("fragment:0.size") - 1); },
     eio({"xattrs"})},
    {"export_list_behind_the_image", set("list:exports#0", kTop), accept()},
    {"export_records_are_garbage", set("export:0", ~0ULL), accept()},
    {"xattr_ids_none", set("xattr_header.id_count", 0), refuse()},
    {"xattr_ids_wrap_the_list", set("xattr_header.id_count", 4294967071U), refuse()},
    {"xattr_ids_all_ones", set("xattr_header.id_count", 0xFFFFFFFF), refuse()},
    {"xattr_ids_wrap_the_list_at_the_end_of_the_image",
     [](BuiltImage& b) {
         b.set("xattr_header.id_count", 4294967071U);
         b.set("superblock.bytes_used", b.get("superblock.xattr_table_start") + 16);
     },
     refuse()},
    {"xattr_ids_fewer_than_used", set("xattr_header.id_count", 1), eio({"xlink"})},
    {"xattr_ids_more_than_there_are", set("xattr_header.id_count", 3), accept()},
    {"xattr_pairs_behind_their_table", set("xattr_header.pairs_start", 1ULL << 40), refuse()},
    {"xattr_pairs_negative", set("xattr_header.pairs_start", kTop), refuse()},
    {"xattr_list_behind_the_image", set("list:xattr_sets#0", kTop), eio(kWithXattrs)},
};
INSTANTIATE_TEST_SUITE_P(Rows, Tables, testing::ValuesIn(kTableRows), row_name);

TEST(ExportTable, GarbageIsAnErrorOfItsOwnCaller) {
    auto built = sample_tree().build();
    built.set("export:0", ~0ULL);
    const auto image = open_image(built);
    ASSERT_TRUE(image);
    const auto reference = (*image)->exported(1);
    ASSERT_TRUE(reference);
    EXPECT_EQ((*image)->inode(*reference).error().code, Errc::corrupt);
    built.set("list:exports#0", kTop);
    EXPECT_EQ((*open_image(built))->exported(1).error().code, Errc::corrupt);
}

TEST(OptionBlock, Damaged) {
    BuildOptions options;
    options.compressor = format::CompressorId::lz4;
    if (!codec::is_available(options.compressor)) GTEST_SKIP() << "this build has no lz4";
    const auto good = sample_tree(options).build();
    expect_verdict(good, accept());
    for (const unsigned header : {0U, 0x8000U, 0x0008U, 0x8001U, 0x8007U, 0xFFFFU, 0x8041U}) {
        auto built = good;
        built.bytes[96] = static_cast<std::byte>(header & 0xFF);
        built.bytes[97] = static_cast<std::byte>(header >> 8);
        SCOPED_TRACE(header);
        expect_verdict(built, refuse());
    }
}

TEST(StreamedImage, Damaged) {
    ByteVector bytes(96);
    const std::uint32_t magic = format::kStreamedMagic;
    std::memcpy(bytes.data(), &magic, 4);
    for (const std::size_t size : {96U, 100U, 191U, 192U, 5000U}) {
        bytes.resize(size);
        BuiltImage built;
        built.bytes = bytes;
        const auto image = open_image(built);
        ASSERT_FALSE(image) << size;
    }
}

}  // namespace
}  // namespace squenv::test
