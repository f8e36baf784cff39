// SPDX-License-Identifier: MIT
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr std::uint64_t kSeed = 20240229;

std::string with_holes(std::size_t size, std::uint32_t block, std::mt19937_64& random) {
    std::string text = pattern(size, static_cast<std::uint32_t>(random()));
    for (std::size_t start = 0; start < size; start += block)
        if (random() % 3 == 0)
            std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(start),
                        std::min<std::size_t>(block, size - start), '\0');
    return text;
}

TEST(Read, AnyRangeIsASliceOfTheWhole) {
    std::cout << "seed " << kSeed << '\n';
    std::mt19937_64 random(kSeed);
    for (const bool compress : {false, true})
        for (const bool fragments : {false, true}) {
            BuildOptions options;
            options.compressor = format::CompressorId::zstd;
            options.compress_data = compress && codec::is_available(options.compressor);
            options.fragments = fragments;
            ImageBuilder builder(options);
            for (const std::size_t size :
                 {0UL, 1UL, 4095UL, 4096UL, 4097UL, 12288UL, 50000UL, 3'000'001UL})
                builder.file(fmt::format("f{}", size), with_holes(size, 4096, random));
            const auto built = builder.build();
            const auto image = open_image(built);
            ASSERT_TRUE(image) << image.error().message();
            for (const auto& [path, content] : built.files) {
                const auto inode = (*image)->resolve(path).value();
                for (int i = 0; i < 150; ++i) {
                    const std::uint64_t offset = random() % (content.size() + 5000);
                    const std::uint64_t size =
                        i % 10 == 0 ? ~std::uint64_t{0} - offset : random() % 20000;
                    const auto read = read_range(**image, inode, offset, size);
                    ASSERT_TRUE(read) << read.error().message();
                    ASSERT_EQ(*read, offset >= content.size() ? "" : content.substr(offset, size))
                        << path << " at " << offset << ", " << size << " bytes";
                }
            }
        }
}

TEST(Read, ABlockThatIsNotKeptIsSharedWhileACallerHasIt) {
    ImageBuilder builder;
    builder.file("file", pattern(4 * 4096, 7));
    const auto built = builder.build();
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built, faults).value();
    const auto file = image->resolve("file").value();
    std::vector<image::StoredPart> parts;
    ASSERT_TRUE(image->data().visit_stored(
        file, 0, 4096, [&](const image::StoredPart& part) { parts.push_back(part); }));
    ASSERT_EQ(parts.size(), 1U);
    const auto get = [&](bool is_kept) {
        return image->data().block(parts[0].place, parts[0].length, {.is_kept = is_kept}).value();
    };
    auto first = get(false);
    EXPECT_TRUE(first.is_new);
    const std::uint64_t reads = faults->reads;
    EXPECT_EQ(get(false).block, first.block);
    first = {};
    EXPECT_TRUE(get(false).is_new) << "it is gone with its last user";
    EXPECT_EQ(faults->reads, reads + 1);
    first = get(false);
    const auto kept = get(true);
    EXPECT_EQ(kept.block, first.block);
    EXPECT_FALSE(kept.is_new);
    EXPECT_EQ(get(false).block, first.block);
}

TEST(Read, LongBlockListsAreReadFromAnywhere) {
    // 3,000 blocks: more than one checkpoint, backwards and forwards.
    std::mt19937_64 random(kSeed);
    ImageBuilder builder;
    builder.file("long", with_holes(3000 * 4096 - 17, 4096, random));
    const auto built = builder.build();
    const auto& content = built.files.at("long");
    const auto image = open_image(built);
    const auto inode = (*image)->resolve("long").value();
    for (std::uint64_t block = 3000; block-- > 0; block -= std::min<std::uint64_t>(block, 96)) {
        const auto read = read_range(**image, inode, block * 4096, 5000);
        ASSERT_TRUE(read) << read.error().message();
        ASSERT_EQ(*read, content.substr(block * 4096, 5000)) << block;
    }
}

TEST(Read, HolesAreFound) {
    using Seek = image::FileData::Seek;
    ImageBuilder builder;
    builder.file("f", pattern(4096, 1) + std::string(8192, '\0') + pattern(4096 + 10, 2));
    builder.file("hole", std::string(8192, '\0'));
    builder.file("data", pattern(5000, 3));
    const auto built = builder.build();
    const auto image = open_image(built);
    const auto seek = [&](const char* path, std::uint64_t offset, Seek what) {
        return (*image)->data().seek((*image)->resolve(path).value(), offset, what).value();
    };
    EXPECT_EQ(seek("f", 0, Seek::data), 0U);
    EXPECT_EQ(seek("f", 100, Seek::hole), 4096U);
    EXPECT_EQ(seek("f", 5000, Seek::hole), 5000U);
    EXPECT_EQ(seek("f", 5000, Seek::data), 12288U);
    EXPECT_EQ(seek("f", 13000, Seek::hole), 16394U);
    EXPECT_EQ(seek("f", 16390, Seek::data), 16390U);
    EXPECT_EQ(seek("f", 16394, Seek::data), std::nullopt);
    EXPECT_EQ(seek("hole", 0, Seek::data), std::nullopt);
    EXPECT_EQ(seek("hole", 8191, Seek::hole), 8191U);
    EXPECT_EQ(seek("data", 0, Seek::hole), 5000U);
}

TEST(Read, RepeatedReadsComeFromTheCache) {
    const auto built = sample_tree().build();
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built, faults);
    (void)read_file(**image, "dir/a");
    const auto reads = faults->reads.load();
    for (int i = 0; i < 10; ++i) (void)read_file(**image, "dir/a");
    EXPECT_EQ(faults->reads.load(), reads);
}

}  // namespace
}  // namespace squenv::test
