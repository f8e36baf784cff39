// SPDX-License-Identifier: MIT
// Damaged inodes, block lists and fragments: EIO for that object alone.
#include "rows.h"

namespace squenv::test {
namespace {

class Inodes : public RowTest {};
TEST_P(Inodes, Row) {
    run(GetParam());
}

constexpr std::uint64_t kTop = std::uint64_t{1} << 63;

/// A file with 64-bit fields.
void extended(ImageBuilder& builder) {
    builder.at("exact").is_extended = true;
}

const Row kRows[] = {
    {"number_0", set("inode:small.number", 0), eio({"small"})},
    {"number_behind_the_last", set("inode:small.number", 1000), eio({"small"})},
    {"number_all_ones", set("inode:small.number", 0xFFFFFFFF), eio({"small"})},
    {"type_0", set("inode:small.type", 0), eio({"small"})},
    {"type_15", set("inode:small.type", 15), eio({"small"})},
    {"type_65535", set("inode:small.type", 0xFFFF), eio({"small"})},
    {"mode_with_type_bits", set("inode:small.mode", 0100644), eio({"small"})},
    {"mode_of_a_directory_in_a_file", set("inode:small.mode", 0040755), eio({"small"})},
    {"uid_out_of_range", set("inode:small.uid", 2), eio({"small"})},
    {"gid_out_of_range", set("inode:small.gid", 65535), eio({"small"})},
    {"another_type_than_its_entry", set("inode:pipe.type", 7), eio({"pipe"})},
    {"directory_as_a_file", set("entry:dir.type", 2), eio({"dir"})},
    {"file_as_a_directory", set("entry:small.type", 1), eio({"small"})},
    {"fragment_out_of_range", set("inode:small.fragment", 3), eio({"small"})},
    {"fragment_equal_to_their_number",
     [](BuiltImage& b) { b.set("inode:small.fragment", b.get("superblock.fragment_count")); },
     eio({"small"})},
    {"fragment_nearly_all_ones", set("inode:small.fragment", 0xFFFFFFFE), eio({"small"})},
    {"tail_behind_its_fragment", set("inode:small.offset", 3000), eio({"small"})},
    {"tail_partly_behind_its_fragment",
     [](BuiltImage& b) { b.set("inode:xattrs.offset", b.get("inode:xattrs.offset") + 1); },
     eio({"xattrs"})},
    {"tail_offset_all_ones", set("inode:small.offset", 0xFFFFFFFF), eio({"small"})},
    {"tail_offset_of_a_block", set("inode:small.offset", 4096), eio({"small"})},
    {"fragment_though_size_is_whole_blocks",
     [](BuiltImage& b) {
         b.set("inode:exact.fragment", 0);
         b.set("inode:exact.offset", 0);
     },
     eio({"exact"})},
    {"fragment_though_empty", set("inode:nothing.fragment", 0), eio({"nothing"})},
    {"word_over_a_block", set("word:exact#0", 0x01001001), eio({"exact"})},
    {"word_16_mib", set("word:exact#0", 0x00FFFFFF), eio({"exact"})},
    {"word_bit_25", set("word:exact#0", 0x02001000), eio({"exact"})},
    {"word_all_ones", set("word:exact#1", 0xFFFFFFFF), eio({"exact"})},
    {"word_uncompressed_and_empty", set("word:exact#0", 0x01000000), eio({"exact"})},
    {"word_said_to_be_compressed", set("word:exact#0", 0x00001000), eio({"exact"})},
    {"first_block_short", set("word:big#0", 0x01000000 | 4000), eio({"big"})},
    {"last_block_short", set("word:exact#1", 0x01000000 | 4095), eio({"exact"})},
    {"last_block_long",
     [](BuiltImage& b) {
         b.set("inode:exact.size", 8000);
         b.files["exact"].resize(8000);
     },
     eio({"exact"})},
    {"start_behind_the_image", set("inode:exact.start", 0xFFFFFFFF), eio({"exact"})},
    {"start_at_the_end_of_the_image",
     [](BuiltImage& b) { b.set("inode:exact.start", b.get("superblock.bytes_used")); },
     eio({"exact"})},
    {"start_negative", set("inode:exact.start", kTop), eio({"exact"}), extended},
    {"start_wraps", set("inode:exact.start", ~0ULL - 100), eio({"exact"}), extended},
    {"size_4_gib_with_2_words", set("inode:exact.size", 0xFFFFFFFF), eio({"exact"})},
    {"size_negative", set("inode:exact.size", kTop), eio({"exact"}), extended},
    {"size_all_ones", set("inode:exact.size", ~0ULL), eio({"exact"}), extended},
    {"sparse_larger_than_the_file", set("inode:exact.sparse", ~0ULL), accept(), extended},
    {"nlink_0", set("inode:exact.nlink", 0), accept(), extended},
    {"symlink_size_0", set("inode:link.size", 0), eio({"link"})},
    {"symlink_size_5000", set("inode:link.size", 5000), eio({"link"})},
    {"symlink_size_3875536935", set("inode:link.size", 3875536935U), eio({"link"})},
    {"symlink_size_all_ones", set("inode:link.size", 0xFFFFFFFF), eio({"link"})},
    {"symlink_size_of_the_tools", set("inode:link.size", 65535), eio({"link"})},
    {"symlink_with_a_nul", set_text("target:link", std::string("\0", 1)), eio({"link"})},
    {"symlink_longer_than_the_table", set("inode:xlink.size", 4000), eio({"xlink"})},
    {"xattr_index_out_of_range", set("inode:xattrs.xattr", 2), eio({"xattrs"})},
    {"xattr_index_nearly_all_ones", set("inode:xattrs.xattr", 0xFFFFFFFE), eio({"xattrs"})},
    {"symlink_xattr_index_out_of_range", set("inode:xlink.xattr", 2), eio({"xlink"})},
    {"device_all_ones", set("inode:tty.device", 0xFFFFFFFF), accept()},
};
INSTANTIATE_TEST_SUITE_P(Rows, Inodes, testing::ValuesIn(kRows), row_name);

TEST(HugeFiles, WhatIsThereIsReadAndTheRestIsEio) {
    for (const std::uint64_t size : {std::uint64_t{0xFFFFFFFF}, std::uint64_t{8} << 40,
                                     std::uint64_t{0x5000000000000}, kTop - 1}) {
        SCOPED_TRACE(size);
        auto builder = sample_tree();
        extended(builder);
        auto built = builder.build();
        const auto content = built.files.at("exact");
        built.set("inode:exact.size", size);
        const auto image = open_image(built);
        const auto inode = (*image)->resolve("exact");
        ASSERT_TRUE(inode) << inode.error().message();
        EXPECT_EQ(read_range(**image, *inode, 0, 8192).value(), content);
        for (const std::uint64_t offset : {size / 2, size - 1}) {
            const auto read = read_range(**image, *inode, offset, 100);
            ASSERT_FALSE(read);
            EXPECT_EQ(to_errno(read.error()), EIO);
        }
        EXPECT_EQ(read_file(**image, "small").value(), built.files.at("small"));
    }
}

TEST(Fragments, ATailNeverShowsForeignBytes) {
    // The fragment ends where the tail does; one byte more would be somebody else's memory.
    auto built = sample_tree().build();
    built.set("inode:xattrs.size", built.get("inode:xattrs.size") + 1);
    const auto image = open_image(built);
    const auto inode = (*image)->resolve("xattrs").value();
    for (std::uint64_t offset = 0; offset < inode.size_bytes; ++offset)
        EXPECT_EQ(read_range(**image, inode, offset, 1).error().code, Errc::corrupt);
}

TEST(Owners, UnusedIdsDoNotMatter) {
    BuildOptions options;
    options.ids = {0, 0xFFFFFFFF};
    auto built = sample_tree(options).build();
    built.set("inode:small.uid", 1);
    EXPECT_EQ((*open_image(built))->resolve("small")->uid, 0xFFFFFFFFU);
}

}  // namespace
}  // namespace squenv::test
