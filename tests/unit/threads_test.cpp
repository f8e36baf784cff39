// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "support/reading.h"

namespace squenv::test {
namespace {

TEST(Threads, ManyReadersSeeTheSameTree) {
    BuildOptions build;
    build.compressor = format::CompressorId::zstd;
    build.compress_data = codec::is_available(build.compressor);
    const auto built = sample_tree(build).build();
    image::OpenOptions options;
    options.cache_bytes = 1U << 20;
    const auto image = open_image(built, nullptr, options);
    ASSERT_TRUE(image);
    const auto paths = all_paths(built);
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                std::mt19937 random(t);
                for (int i = 0; i < 400; ++i)
                    if (!read_object(**image, built, paths[random() % paths.size()])) ++wrong;
            });
    }
    EXPECT_EQ(wrong, 0);
}

TEST(Threads, ReadersOfALongFileShareItsCheckpoints) {
    ImageBuilder builder;
    builder.file("long", pattern(2000 * 4096, 5));
    const auto built = builder.build();
    const auto& content = built.files.at("long");
    const auto image = open_image(built);
    const auto inode = (*image)->resolve("long").value();
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                std::mt19937 random(t);
                for (int i = 0; i < 200; ++i) {
                    const std::uint64_t offset = random() % content.size();
                    const auto read = read_range(**image, inode, offset, 9000);
                    if (!read || *read != content.substr(offset, 9000)) ++wrong;
                }
            });
    }
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace squenv::test
