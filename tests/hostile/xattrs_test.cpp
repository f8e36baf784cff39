// SPDX-License-Identifier: MIT
// Damaged xattrs: EIO for that attribute's object alone.
#include "rows.h"

namespace squenv::test {
namespace {

class XattrRows : public RowTest {};
TEST_P(XattrRows, Row) {
    run(GetParam());
}

const Row kRows[] = {
    {"name_size_behind_the_pairs", set("xattr:xattrs#0.name_size", 65535), eio({"xattrs"})},
    {"value_size_behind_the_pairs", set("xattr:xattrs#1.value_size", 60000), eio({"xattrs"})},
    {"value_size_over_64_kib", set("xattr:xattrs#1.value_size", 65537), eio({"xattrs"})},
    {"value_size_all_ones", set("xattr:xattrs#0.value_size", 0xFFFFFFFF), eio({"xattrs"})},
    {"count_of_pairs_too_large", set("xattr_set:0.count", 1000), eio({"xattrs"})},
    {"count_of_pairs_all_ones", set("xattr_set:0.count", 0xFFFFFFFF), eio({"xattrs"})},
    {"size_of_the_set_is_ignored", set("xattr_set:0.size", 0xFFFFFFFF), accept()},
    {"pairs_behind_the_table", set("xattr_set:0.pairs", 1ULL << 40), eio({"xattrs"})},
    {"pairs_negative", set("xattr_set:0.pairs", 1ULL << 63), eio({"xattrs"})},
    {"pairs_offset_behind_the_block", set("xattr_set:0.pairs", 8191), eio({"xattrs"})},
    {"pairs_offset_65535", set("xattr_set:0.pairs", 65535), eio({"xattrs"})},
    {"value_elsewhere_behind_the_table", set("xattr:xlink#0.value", 1ULL << 40), eio({"xlink"})},
    {"value_elsewhere_all_ones", set("xattr:xlink#0.value", ~0ULL), eio({"xlink"})},
    {"value_elsewhere_with_a_huge_length", set("xattr:xlink#0.value", 2), eio({"xlink"})},
    {"reference_of_7_bytes", set("xattr:xlink#0.value_size", 7), eio({"xlink"})},
    {"reference_of_0_bytes", set("xattr:xlink#0.value_size", 0), eio({"xlink"})},
    {"in_line_said_to_be_elsewhere", set("xattr:xattrs#0.type", 0x0100), eio({"xattrs"})},
};
INSTANTIATE_TEST_SUITE_P(Rows, XattrRows, testing::ValuesIn(kRows), row_name);

TEST(Xattrs, CountZeroIsAnObjectWithoutAttributes) {
    auto built = sample_tree().build();
    built.set("xattr_set:0.count", 0);
    built.xattrs.erase("xattrs");
    expect_verdict(built, accept());
}

TEST(Xattrs, TheLongestNamesAndValuesWork) {
    auto builder = sample_tree();
    auto& file = builder.file("long", "x");
    for (char c = 'a'; c < 'a' + 20; ++c)
        file.xattrs.emplace_back("user." + std::string(250, c), std::string(65536, c));
    expect_verdict(builder.build(), accept());
}

}  // namespace
}  // namespace squenv::test
