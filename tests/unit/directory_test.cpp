// SPDX-License-Identifier: MIT
#include "image/directory.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr int kMany = 70'000;

BuiltImage many_entries() {
    ImageBuilder builder;
    TestNode& directory = builder.directory("many");
    for (int i = 0; i < kMany; ++i) {
        TestNode node;
        node.type = format::InodeType::fifo;
        builder.add(directory, fmt::format("name-{:06}", i * 2), node);
    }
    builder.file("other", "still here");
    return builder.build();
}

TEST(Directory, SeventyThousandEntriesAreListedAndFound) {
    const auto built = many_entries();
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(list(**image, "many").value(), built.directories.at("many"));
    const auto many = (*image)->resolve("many").value();
    for (int i = 0; i < kMany; i += 997) {
        const auto found = (*image)->lookup(many, fmt::format("name-{:06}", i * 2));
        ASSERT_TRUE(found) << found.error().message();
        ASSERT_TRUE(*found) << i;
        EXPECT_EQ((*found)->type, format::InodeType::fifo);
        EXPECT_FALSE((*image)->lookup(many, fmt::format("name-{:06}", i * 2 + 1)).value());
    }
    for (const char* name : {"", "a", "name-", "name-139999", "zzz"})
        EXPECT_FALSE((*image)->lookup(many, name).value()) << name;
}

TEST(Directory, AListingGoesOnFromAnyEntry) {
    const auto built = many_entries();
    const auto image = open_image(built);
    const auto many = (*image)->resolve("many").value();
    for (const std::uint64_t first : {0UL, 1UL, 255UL, 256UL, 4999UL, 69998UL, 69999UL}) {
        std::vector<std::string> names;
        ASSERT_TRUE((*image)->directories().visit(
            many, first, [&](std::uint64_t index, const image::DirectoryItem& item) {
                EXPECT_EQ(index, first + names.size());
                names.emplace_back(item.name);
                return names.size() < 600;
            }));
        const auto& all = built.directories.at("many");
        const auto last = std::min<std::size_t>(all.size(), first + 600);
        EXPECT_EQ(names, std::vector<std::string>(all.begin() + static_cast<std::ptrdiff_t>(first),
                                                  all.begin() + static_cast<std::ptrdiff_t>(last)));
    }
    for (const std::uint64_t behind : {std::uint64_t{kMany}, ~std::uint64_t{0}})
        EXPECT_TRUE((*image)->directories().visit(many, behind,
                                                  [](std::uint64_t, const image::DirectoryItem&) {
                                                      ADD_FAILURE();
                                                      return false;
                                                  }));
}

TEST(Directory, LargeListingsCostNoMoreThanTheCache) {
    const auto built = many_entries();
    image::OpenOptions options;
    options.cache_bytes = 2U << 20;
    const auto image = open_image(built, nullptr, options);
    ASSERT_TRUE(list(**image, "many"));
    const auto counters = (*image)->counters();
    EXPECT_LE(counters.directories.used_bytes, counters.directories.budget_bytes);
    EXPECT_LE(counters.metadata.used_bytes, counters.metadata.budget_bytes);
}

TEST(Directory, NamesAreBytes) {
    ImageBuilder builder;
    const std::string longest(255, '\xFE');
    builder.file(longest, "long");
    builder.file("\xC3\xA4", "utf-8");
    builder.file("\x01 \n\"", "odd");
    const auto built = builder.build();
    const auto image = open_image(built);
    for (const auto& [path, content] : built.files)
        EXPECT_EQ(read_file(**image, path).value(), content);
    EXPECT_EQ(list(**image, "").value().size(), 3U);
}

TEST(Directory, EmptyRootNeedsNoTable) {
    ImageBuilder builder;
    const auto built = builder.build();
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_TRUE(list(**image, "").value().empty());
}

TEST(Directory, FarAwayHardLinks) {
    // The number of the linked inode is far below that of its neighbours: negative deltas.
    ImageBuilder builder;
    builder.file("a", "linked");
    TestNode& directory = builder.directory("d");
    for (int i = 0; i < 40'000; ++i) {
        TestNode node;
        node.type = format::InodeType::socket;
        builder.add(directory, fmt::format("{:06}", i), node);
    }
    builder.link("d/000500x", "a");
    builder.link("d/zz", "a");
    const auto built = builder.build();
    const auto image = open_image(built);
    const auto first = (*image)->resolve("a").value();
    EXPECT_EQ(first.nlink, 3U);
    for (const char* path : {"d/000500x", "d/zz"})
        EXPECT_EQ((*image)->resolve(path).value().number, first.number);
    EXPECT_EQ(read_file(**image, "d/zz").value(), "linked");
}

}  // namespace
}  // namespace squenv::test
