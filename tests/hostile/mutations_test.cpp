// SPDX-License-Identifier: MIT
// Thousands of images with random damage: no crash, no hang, no large allocation.
#include <fmt/core.h>

#include <iostream>
#include <random>

#include "allocation.h"
#include "rows.h"

namespace squenv::test {
namespace {

constexpr std::uint64_t kSeed = 0x5153'454E'5632'0001;
constexpr std::size_t kMostBytes = 64U << 20;

BuiltImage large_directories() {
    ImageBuilder builder;
    TestNode& directory = builder.directory("d");
    for (int i = 0; i < 2500; ++i) {
        TestNode node;
        node.type = i % 2 == 0 ? format::InodeType::fifo : format::InodeType::file;
        if (i % 2 == 1) node.content = std::to_string(i);
        builder.add(directory, fmt::format("entry-{:05}", i), node);
    }
    builder.directory("d/z");
    builder.file("d/z/deep", "deep");
    return builder.build();
}

BuiltImage sparse_files() {
    ImageBuilder builder;
    builder.file("holes", std::string(50 * 4096, '\0') + pattern(5000, 1));
    builder.file("mixed", pattern(4096, 2) + std::string(4096 * 300, '\0') + pattern(4096, 3));
    builder.file("dense", pattern(20 * 4096 + 7, 4));
    return builder.build();
}

BuiltImage many_xattrs() {
    ImageBuilder builder;
    for (int i = 0; i < 40; ++i) {
        auto& file = builder.file(fmt::format("f{:02}", i), pattern(50, 1));
        for (int k = 0; k <= i % 5; ++k)
            file.xattrs.emplace_back(fmt::format("user.key{}", k),
                                     pattern(static_cast<std::size_t>(i) * 37 + 1, 2));
        file.has_values_elsewhere = i % 3 == 0;
    }
    return builder.build();
}

BuiltImage compressed() {
    BuildOptions options;
    options.compressor = format::CompressorId::zstd;
    options.compress_data = options.compress_metadata = codec::is_available(options.compressor);
    auto builder = sample_tree(options);
    builder.file("text", std::string(30'000, 'x'));
    return builder.build();
}

/// Numbers that break things more often than random ones do.
std::uint64_t nasty(std::mt19937_64& random, std::uint64_t old) {
    switch (random() % 10) {
        case 0: return 0;
        case 1: return ~std::uint64_t{0};
        case 2: return std::uint64_t{1} << (random() % 64);
        case 3: return old + 1;
        case 4: return old - 1;
        case 5: return old ^ (std::uint64_t{1} << (random() % 32));
        case 6: return 8192 + random() % 3;
        case 7: return 0x8000 | random() % 8194;
        case 8: return old * 2;
        default: return random();
    }
}

struct Sample {
    const char* name;
    BuiltImage (*build)();
    int mutations;  ///< fewer for samples that take longer to read
};
class Mutations : public testing::TestWithParam<Sample> {};

TEST_P(Mutations, NeverCrashHangOrAllocateMuch) {
    const BuiltImage original = GetParam().build();
    const auto fields = original.fields();
    const int mutations = GetParam().mutations;
    std::cout << "seed " << kSeed << ", " << mutations << " images of " << original.bytes.size()
              << " bytes\n";
    std::mt19937_64 random(kSeed);
    int opened = 0;
    std::size_t highest = 0;
    for (int i = 0; i < mutations; ++i) {
        BuiltImage image = original;
        const std::uint64_t changes = 1 + random() % 4;
        for (std::uint64_t change = 0; change < changes; ++change) {
            if (random() % 3 != 0) {
                const auto& field = fields[random() % fields.size()];
                image.set(field, nasty(random, image.get(field)));
            } else {
                image.bytes[random() % image.bytes.size()] = static_cast<std::byte>(random());
            }
        }
        const AllocationWatch watch;
        if (exercise(std::move(image.bytes)).is_open) ++opened;
        highest = std::max(highest, watch.peak_bytes());
        ASSERT_LT(watch.peak_bytes(), kMostBytes) << "image " << i;
    }
    std::cout << opened << " could be opened, at most " << highest << " bytes were used\n";
    EXPECT_GT(opened, mutations / 10);
}

INSTANTIATE_TEST_SUITE_P(
    Images, Mutations,
    testing::Values(Sample{"sample", +[] { return sample_tree().build(); }, 4000},
                    Sample{"directories", &large_directories, 500},
                    Sample{"sparse", &sparse_files, 1500}, Sample{"xattrs", &many_xattrs, 2500},
                    Sample{"compressed", &compressed, 4000}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Mutations, ImagesCutAnywhere) {
    const auto original = sample_tree().build();
    for (std::size_t size = 0; size < original.bytes.size(); size += 13)
        (void)exercise(ByteVector(original.bytes.begin(),
                                  original.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
}

}  // namespace
}  // namespace squenv::test
