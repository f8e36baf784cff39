// SPDX-License-Identifier: MIT
// No number in an image makes us allocate, wait or recurse: peaks of memory and bounds of time.
#include <fmt/core.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <new>

#include "allocation.h"
#include "base/error_list.h"
#include "base/little_endian.h"
#include "base/sanitizers.h"
#include "extract/extract.h"
#include "image/walk.h"
#include "rows.h"
#include "verify/verify.h"

namespace squenv::test {
namespace {

constexpr std::size_t kMiB = 1U << 20;

/// A bound against hangs, of processor time: what else the machine does counts for nothing. Waits
/// without an end are for the time limit of the whole program.
class Bounded {
  public:
    explicit Bounded(std::size_t most_bytes) : most_bytes_(most_bytes) {}
    ~Bounded() {
        EXPECT_LE(watch_.peak_bytes(), most_bytes_);
        EXPECT_LT(std::clock() - start_, kSeconds * CLOCKS_PER_SEC);
    }

  private:
#if SQUENV_HAS_SANITIZER
    static constexpr int kSeconds = 15;
#else
    static constexpr int kSeconds = 3;
#endif
    std::size_t most_bytes_;
    AllocationWatch watch_;
    std::clock_t start_ = std::clock();
};

TEST(Bounds, CountsOfTheSuperblock) {
    for (const char* field : {"superblock.inode_count", "superblock.fragment_count"}) {
        auto built = sample_tree().build();
        built.set(field, 0xFFFFFFFF);
        const auto size = built.bytes.size();
        const Bounded bounded(size + kMiB / 4);
        EXPECT_FALSE(open_image(built));
    }
}

/// Storage of any length that answers with zeros behind its bytes.
class EndlessSource final : public image::ByteSource {
  public:
    explicit EndlessSource(ByteVector bytes) : bytes_(std::move(bytes)) {}
    [[nodiscard]] Status read_exact(std::uint64_t position, MutableBytes out) const override {
        std::fill(out.begin(), out.end(), std::byte{0});
        for (std::size_t i = 0; i < out.size() && position + i < bytes_.size(); ++i)
            out[i] = bytes_[position + i];
        return {};
    }
    [[nodiscard]] std::uint64_t size_bytes() const override { return std::uint64_t{1} << 62; }
    [[nodiscard]] bool has_changed() const override { return false; }
    [[nodiscard]] image::SourceCounters counters() const override { return {}; }

  private:
    ByteVector bytes_;
};

TEST(Bounds, CountsThatAHugeFileHasRoomFor) {
    // Tables far apart in a file of 4 EiB: every count fits, none may be allocated for.
    auto built = sample_tree().build();
    const std::uint64_t far = std::uint64_t{1} << 50;
    built.set("superblock.bytes_used", far * 8);
    built.set("superblock.directory_table_start", far);
    built.set("superblock.fragment_table_start", far * 2);
    built.set("superblock.export_table_start", far * 3);
    built.set("superblock.id_table_start", far * 4);
    built.set("superblock.xattr_table_start", ~0ULL);
    built.set("superblock.inode_count", 0xFFFFFFFF);
    built.set("superblock.fragment_count", 0xFFFFFFFF);
    const Bounded bounded(kMiB);
    EXPECT_FALSE(
        image::Image::open(std::unique_ptr<image::ByteSource>(new EndlessSource(built.bytes))));
}

BuiltImage huge_file(std::uint64_t size) {
    auto builder = sample_tree();
    builder.at("exact").is_extended = true;
    auto built = builder.build();
    built.set("inode:exact.size", size);
    return built;
}

constexpr std::uint64_t kHugeSizes[] = {0xFFFFFFFF, std::uint64_t{8} << 40,
                                        (std::uint64_t{1} << 63) - 1};

TEST(Bounds, HugeFilesAreRead) {
    for (const auto size : kHugeSizes) {
        const auto built = huge_file(size);
        const Bounded bounded(4 * kMiB);
        const auto image = open_image(built);
        const auto inode = (*image)->resolve("exact").value();
        for (const std::uint64_t offset : {std::uint64_t{0}, size / 2, size - 100})
            (void)read_range(**image, inode, offset, 1 << 20);
        EXPECT_FALSE((*image)->data().seek(inode, 8192, image::FileData::Seek::hole));
    }
}

TEST(Bounds, HugeFilesAreVerified) {
    for (const auto size : kHugeSizes) {
        const auto built = huge_file(size);
        const Bounded bounded(16 * kMiB);
        const auto image = open_image(built);
        const auto report = verify::verify_image(**image, {2});
        EXPECT_EQ(report.errors.size(), 1U);
    }
}

TEST(Bounds, HugeFilesAreExtracted) {
    for (const auto size : kHugeSizes) {
        std::string base = testing::TempDir() + "squenv-huge-XXXXXX";
        ASSERT_NE(::mkdtemp(base.data()), nullptr);
        const auto built = huge_file(size);
        {
            const Bounded bounded(24 * kMiB);
            const auto image = open_image(built);
            extract::ExtractOptions options;
            options.threads = 2;
            const auto report =
                extract::extract_tree(**image, (*image)->root(), base + "/target", options);
            ASSERT_TRUE(report);
            EXPECT_GE(report->errors.size(), 1U);
            EXPECT_LE(report->errors.size(), 3U);
        }
        std::filesystem::remove_all(base);
    }
}

TEST(Bounds, EightTebibytesOfRealHoles) {
    BuildOptions options;
    options.compressor = format::CompressorId::zstd;
    if (!codec::is_available(options.compressor)) GTEST_SKIP() << "this build has no zstd";
    options.block_size = kMiB;
    options.fragments = false;
    const auto compressor = codec::make_compressor(options.compressor, 1, kMiB).value();
    ByteVector packed(8192);
    packed.resize(compressor->compress(ByteVector(8192), packed).value());
    // 8 million size words of 0, in 4097 compressed metadata blocks.
    for (int i = 0; i < 4097; ++i)
        append(options.after_inodes, ByteView(metadata_block(packed, true)));
    ImageBuilder builder(options);
    builder.file("first", "x");
    builder.file("holes", std::string(kMiB, '\0')).is_extended = true;
    auto built = builder.build();
    const std::uint64_t size = std::uint64_t{8} << 40;
    built.set("inode:holes.size", size);
    const Bounded bounded(16 * kMiB);  // the metadata cache has 8
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    const auto inode = (*image)->resolve("holes").value();
    for (const std::uint64_t offset : {std::uint64_t{0}, size / 3, size / 2, size - 10}) {
        const auto read = read_range(**image, inode, offset, 100'000);
        ASSERT_TRUE(read) << read.error().message();
        EXPECT_EQ(*read, std::string(std::min<std::uint64_t>(100'000, size - offset), '\0'));
    }
}

TEST(Bounds, ADirectoryTableOfEmptyBlocks) {
    for (const unsigned header : {0U, 0x8000U}) {
        BuildOptions options;
        for (int i = 0; i <= 1 << 19; ++i)
            append(options.after_directories, Le16(static_cast<std::uint16_t>(header)));
        auto builder = sample_tree(options);
        builder.at("dir").is_extended = true;
        auto built = builder.build();
        built.set("inode:dir.size", 0xFFFFFFFF);
        // One real block, then the empty ones.
        const Bounded bounded(8 * kMiB);
        expect_verdict(built, eio({"dir"}));
        built.set("inode:dir.listing_block", 2 + (built.get("metadata:directories#0") & 0x7FFF));
        built.set("inode:dir.listing_offset", 0);
        expect_verdict(built, eio({"dir"}));
    }
}

TEST(Bounds, VeryDeepTrees) {
    // 3,000 directories inside each other with names of 255 bytes: the paths of all levels
    // together would be more than a gigabyte.
    ImageBuilder builder;
    TestNode* directory = &builder.root();
    for (int i = 0; i < 3000; ++i) {
        TestNode node;
        node.type = format::InodeType::directory;
        node.mode = 0755;
        directory = &builder.add(*directory, std::string(255, 'd'), node);
    }
    const auto built = builder.build();
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    const Bounded bounded(32 * kMiB);
    int directories = 0;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string&, const image::Inode&) { return ++directories, true; };
    visitor.failed = [](const std::string&, const Error& error) {
        ADD_FAILURE() << error.message();
        return false;
    };
    image::walk(**image, (*image)->root(), visitor);
    EXPECT_EQ(directories, 3001);
    EXPECT_EQ(verify::verify_image(**image, {1}).errors.size(), 0U);
}

TEST(Bounds, DamageOfManyObjectsWithLongPaths) {
    ImageBuilder builder;
    std::string path;
    for (int depth = 0; depth < 60; ++depth) {
        path += (depth == 0 ? "" : "/") + std::string(250, 'd');
        builder.directory(path);
    }
    TestNode& directory = builder.at(path);
    constexpr int kFiles = 12 * 256;
    for (int i = 0; i < kFiles; ++i) builder.add(directory, fmt::format("{:04}", i), TestNode{});
    auto built = builder.build();
    for (int run = 0; built.has(fmt::format("run:{}#{}.inode_block", path, run)); ++run)
        built.set(fmt::format("run:{}#{}.inode_block", path, run), 3);  // no block begins there
    std::string base = testing::TempDir() + "squenv-damage-XXXXXX";
    ASSERT_NE(::mkdtemp(base.data()), nullptr);
    {
        const Bounded bounded(24 * kMiB);
        const auto image = open_image(built);
        const auto found = verify::verify_image(**image, {2});
        EXPECT_EQ(found.error_count, kFiles);
        EXPECT_EQ(found.errors.size(), ErrorList::kMaxKept);
        extract::ExtractOptions options;
        options.threads = 2;
        const auto written =
            extract::extract_tree(**image, (*image)->root(), base + "/target", options);
        ASSERT_TRUE(written);
        EXPECT_EQ(written->error_count, kFiles);
        EXPECT_EQ(written->errors.size(), ErrorList::kMaxKept);
    }
    std::filesystem::remove_all(base);
}

TEST(Bounds, ManyXattrsThatAreNotThere) {
    auto built = sample_tree().build();
    built.set("xattr_set:0.count", 0xFFFFFFFF);
    const Bounded bounded(2 * kMiB);
    expect_verdict(built, eio({"xattrs"}));
}

TEST(OutOfMemory, AnyAllocationMayFailAndTheNextRequestWorks) {
    const auto built = sample_tree().build();
    std::uint64_t number = 1;
    for (bool has_failed = true; has_failed && number < 5000; ++number) {
        auto image = open_image(built).value();
        (void)fail_allocation(number);
        try {
            (void)image->resolve("dir/c/leaf");
            (void)read_file(*image, "big");
            (void)image->xattrs().names(image->root());
            (void)read_object(*image, built, "xlink");
        } catch (const std::bad_alloc&) {
            // What the guard around every request turns into ENOMEM.
        }
        has_failed = fail_allocation(0);
        for (const char* path : {"dir/c/leaf", "big", "xlink", "dir"})
            ASSERT_TRUE(read_object(*image, built, path)) << path << " after " << number;
    }
    EXPECT_GT(number, 20U);
}

}  // namespace
}  // namespace squenv::test
