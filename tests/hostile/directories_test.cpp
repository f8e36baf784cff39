// SPDX-License-Identifier: MIT
// Damaged directories: EIO for the directory, never half a listing; walks that always end.
#include <fmt/core.h>

#include "image/walk.h"
#include "rows.h"
#include "verify/verify.h"

namespace squenv::test {
namespace {

class Directories : public RowTest {};
TEST_P(Directories, Row) {
    run(GetParam());
}

/// Two names of the same length in "dir", for changes that keep the layout.
void pair(ImageBuilder& builder) {
    builder.directory("pair");
    builder.file("pair/aa", "first");
    builder.file("pair/bb", "second");
    builder.file("pair/ccc", "third");
}

const Row kRows[] = {
    {"name_dot", set_text("entry:dir/a.name", "."), eio({"dir"})},
    {"name_dot_dot", set_text("entry:pair/aa.name", ".."), eio({"pair"}), pair},
    {"name_slash", set_text("entry:dir/a.name", "/"), eio({"dir"})},
    {"name_with_a_slash", set_text("entry:pair/bb.name", "/b"), eio({"pair"}), pair},
    {"name_absolute", set_text("entry:pair/ccc.name", "/et"), eio({"pair"}), pair},
    {"name_upwards", set_text("entry:pair/ccc.name", "../"), eio({"pair"}), pair},
    {"name_with_a_nul", set_text("entry:pair/bb.name", std::string("b\0", 2)), eio({"pair"}), pair},
    {"name_only_a_nul", set_text("entry:dir/a.name", std::string("\0", 1)), eio({"dir"})},
    {"names_twice", set_text("entry:pair/bb.name", "aa"), eio({"pair"}), pair},
    {"names_unsorted", set_text("entry:pair/aa.name", "zz"), eio({"pair"}), pair},
    {"name_size_256", set("entry:dir/a.name_size", 255), eio({"dir"})},
    {"name_size_257", set("entry:dir/a.name_size", 256), eio({"dir"})},
    {"name_size_65536", set("entry:dir/a.name_size", 65535), eio({"dir"})},
    {"name_size_over_the_listing", set("entry:dir/a.name_size", 200), eio({"dir"})},
    {"name_one_shorter", set("entry:pair/aa.name_size", 0), eio({"pair"}), pair},
    {"entry_type_0", set("entry:dir/a.type", 0), eio({"dir"})},
    {"entry_type_9", set("entry:dir/a.type", 9), eio({"dir"})},
    {"run_of_300", set("run:dir#0.count", 299), eio({"dir"})},
    {"run_of_2_to_the_32", set("run:dir#0.count", 0xFFFFFFFF), eio({"dir"})},
    {"run_one_longer", set("run:dir#0.count", 3), eio({"dir"})},
    {"run_one_shorter", set("run:dir#0.count", 1), eio({"dir"})},
    {"entry_number_differs_from_the_inode", set("run:dir#0.inode_number", 1), accept()},
    {"size_one_longer", [](BuiltImage& b) { b.set("inode:dir.size", b.get("inode:dir.size") + 1); },
     eio({"dir"})},
    {"size_one_shorter",
     [](BuiltImage& b) { b.set("inode:dir.size", b.get("inode:dir.size") - 1); }, eio({"dir"})},
    {"size_into_the_neighbour",
     [](BuiltImage& b) { b.set("inode:dir.size", b.get("inode:dir.size") + 20); }, eio({"dir"})},
    {"size_as_large_as_can_be", set("inode:dir.size", 65535), eio({"dir"})},
    {"size_4_gib", set("inode:dir.size", 0xFFFFFFFF), eio({"dir"}),
     [](ImageBuilder& b) { b.at("dir").is_extended = true; }},
    {"listing_offset_9000", set("inode:dir.listing_offset", 9000), eio({"dir"})},
    {"listing_offset_65535", set("inode:dir.listing_offset", 65535), eio({"dir"})},
    {"listing_offset_behind_the_block", set("inode:dir.listing_offset", 8000), eio({"dir"})},
    {"listing_block_behind_the_image", set("inode:dir.listing_block", 0xFFFFFFFF), eio({"dir"})},
    {"listing_block_inside_a_block", set("inode:dir.listing_block", 1), eio({"dir"})},
    {"parent_0", set("inode:dir.parent", 0), accept()},
    {"parent_all_ones", set("inode:dir.parent", 0xFFFFFFFF), accept()},
    {"nlink_all_ones", set("inode:dir.nlink", 0xFFFFFFFF), accept()},
    {"index_count_of_entries_that_are_not_there", set("inode:dir.index_count", 65535), accept(),
     [](ImageBuilder& b) { b.at("dir").is_extended = true; }},
};
INSTANTIATE_TEST_SUITE_P(Rows, Directories, testing::ValuesIn(kRows), row_name);

class SmallSizes : public testing::TestWithParam<int> {};
TEST_P(SmallSizes, AreEmptyDirectories) {
    auto built = sample_tree().build();
    built.set("inode:dir/c.size", static_cast<std::uint64_t>(GetParam()));
    const auto image = open_image(built);
    EXPECT_TRUE(list(**image, "dir/c").value().empty());
    EXPECT_EQ((*image)->resolve("dir/c/leaf").error().code, Errc::not_found);
    EXPECT_EQ(read_file(**image, "small").value(), built.files.at("small"));
}
INSTANTIATE_TEST_SUITE_P(All, SmallSizes, testing::Range(0, 4));

TEST(Listing, DamageInTheMiddleIsNotAShortListing) {
    ImageBuilder builder;
    TestNode& directory = builder.directory("d");
    for (int i = 0; i < 20'000; ++i) {
        TestNode node;
        node.type = format::InodeType::fifo;
        builder.add(directory, fmt::format("{:06}", i), node);
    }
    builder.file("other", "fine");
    auto built = builder.build();
    built.set("run:d#70.count", 299);
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    int seen = 0;
    const auto inode = (*image)->resolve("d").value();
    const auto status = (*image)->directories().visit(
        inode, 0, [&](std::uint64_t, const image::DirectoryItem&) { return ++seen, true; });
    ASSERT_FALSE(status);
    EXPECT_EQ(to_errno(status.error()), EIO);
    EXPECT_EQ(seen, 0) << "entries of a broken directory were handed out";
    EXPECT_EQ((*image)->lookup(inode, "000001").error().code, Errc::corrupt);
    EXPECT_EQ(read_file(**image, "other").value(), "fine");
}

struct WalkResult {
    std::vector<std::string> entered;
    std::vector<std::string> failed;
};
WalkResult walk_all(const image::Image& image) {
    WalkResult result;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode&) {
        result.entered.push_back(path);
        return result.entered.size() < 100'000;
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        EXPECT_EQ(error.code, Errc::corrupt) << error.message();
        result.failed.push_back(path);
        return true;
    };
    image::walk(image, image.root(), visitor);
    return result;
}

TEST(Loops, ADirectoryInsideItself) {
    auto builder = sample_tree();
    builder.link("dir/x", "dir");
    const auto built = builder.build();
    const auto image = open_image(built);
    ASSERT_TRUE(image);
    const auto result = walk_all(**image);
    EXPECT_EQ(result.failed, std::vector<std::string>{"dir/x"});
    EXPECT_EQ(read_file(**image, "dir/c/leaf").value(), built.files.at("dir/c/leaf"));
    const auto report = verify::verify_image(**image, {});
    ASSERT_FALSE(report.errors.empty());
}

TEST(Loops, TheRootInsideTheTree) {
    auto builder = sample_tree();
    builder.link("dir/c/x", "");
    const auto image = open_image(builder.build());
    ASSERT_TRUE(image);
    EXPECT_EQ(walk_all(**image).failed, std::vector<std::string>{"dir/c/x"});
}

TEST(Loops, ADirectoryWithTwoParents) {
    auto builder = sample_tree();
    builder.link("empty/c", "dir/c");
    const auto image = open_image(builder.build());
    ASSERT_TRUE(image);
    EXPECT_EQ(walk_all(**image).failed, std::vector<std::string>{"empty/c"});
}

TEST(Loops, AnImageThatContainsItself42Times) {
    ImageBuilder builder;
    for (int i = 0; i < 42; ++i) builder.link(fmt::format("self{:02}", i), "");
    const auto image = open_image(builder.build());
    ASSERT_TRUE(image);
    const auto result = walk_all(**image);
    EXPECT_EQ(result.entered.size(), 1U);
    EXPECT_EQ(result.failed.size(), 42U);
}

TEST(Loops, ThousandsOfEntriesNamingOneInode) {
    ImageBuilder builder;
    builder.file("f", "x");
    for (int i = 0; i < 5000; ++i) builder.link(fmt::format("g{:05}", i), "f");
    const auto image = open_image(builder.build());
    ASSERT_TRUE(image);
    EXPECT_EQ(walk_all(**image).entered.size(), 5002U);
    EXPECT_EQ((*image)->resolve("g04999")->nlink, 5001U);
}

}  // namespace
}  // namespace squenv::test
