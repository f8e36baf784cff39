// SPDX-License-Identifier: MIT
// Damaged metadata blocks and references.
#include "rows.h"

namespace squenv::test {
namespace {

class Metadata : public RowTest {};
TEST_P(Metadata, Row) {
    run(GetParam());
}

const std::vector<std::string> kXattrs{"xattrs", "xlink"};

const Row kRows[] = {
    {"inode_block_length_0", set("metadata:inodes#0", 0x8000), refuse()},
    {"inode_block_length_0_compressed", set("metadata:inodes#0", 0), refuse()},
    {"inode_block_length_8193", set("metadata:inodes#0", 0x8000 | 8193), refuse()},
    {"inode_block_length_8193_compressed", set("metadata:inodes#0", 8193), refuse()},
    {"inode_block_length_32767", set("metadata:inodes#0", 0xFFFF), refuse()},
    {"inode_block_longer_than_its_table",
     [](BuiltImage& b) { b.set("metadata:inodes#0", b.get("metadata:inodes#0") + 1); }, refuse()},
    {"inode_block_said_to_be_compressed",
     [](BuiltImage& b) { b.set("metadata:inodes#0", b.get("metadata:inodes#0") & 0x7FFF); },
     refuse()},
    {"inode_block_ends_inside_the_last_inode",
     [](BuiltImage& b) { b.set("metadata:inodes#0", b.get("metadata:inodes#0") - 1); },
     eio({"xlink"})},
    {"listing_block_length_0", set("metadata:directories#0", 0x8000), eio({""})},
    {"listing_block_length_8193", set("metadata:directories#0", 0x8000 | 8193), eio({""})},
    {"listing_block_said_to_be_compressed",
     [](BuiltImage& b) {
         b.set("metadata:directories#0", b.get("metadata:directories#0") & 0x7FFF);
     },
     eio({""})},
    {"xattr_pairs_length_0", set("metadata:xattr_pairs#0", 0x8000), eio(kXattrs)},
    {"xattr_pairs_length_8193", set("metadata:xattr_pairs#0", 0x8000 | 8193), eio(kXattrs)},
    {"xattr_sets_length_0", set("metadata:xattr_sets#0", 0x8000), eio(kXattrs)},
    {"entry_offset_behind_the_block", set("entry:small.offset", 8191), eio({"small"})},
    {"entry_offset_8192", set("entry:small.offset", 8192), eio({""})},
    {"entry_offset_65535", set("entry:small.offset", 65535), eio({""})},
    {"run_block_behind_the_table", set("run:dir#0.inode_block", 0xFFFFFFFF), eio({"dir"})},
    {"run_block_inside_a_block", set("run:dir/c#0.inode_block", 1), eio({"dir/c/leaf"})},
};
INSTANTIATE_TEST_SUITE_P(Rows, Metadata, testing::ValuesIn(kRows), row_name);

/// An inode that begins near the end of the inode table and runs on into the listings behind it.
TEST(MetadataRegions, AnInodeNeverRunsOnIntoTheListings) {
    ImageBuilder builder;
    builder.file("first", "content");
    builder.special("last", format::InodeType::fifo);
    auto built = builder.build();
    // The fifo is stored last. As a device it has 4 bytes more, which are those of a listing.
    built.set("inode:last.type", 4);
    built.set("entry:last.type", 4);
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    // Once the listing block is in the cache, it must still not be taken for inodes.
    ASSERT_TRUE(list(**image, ""));
    const auto inode = (*image)->resolve("last");
    ASSERT_FALSE(inode);
    EXPECT_EQ(inode.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace squenv::test
