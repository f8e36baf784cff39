// SPDX-License-Identifier: MIT
#include "image/image.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "image/locate.h"
#include "image/walk.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

using format::CompressorId;
using format::InodeType;

void expect_whole(const BuiltImage& built, const image::Image& image) {
    for (const auto& path : all_paths(built)) {
        const auto status = read_object(image, built, path);
        EXPECT_TRUE(status) << path << ": " << status.error().message();
    }
}

void expect_whole(const BuiltImage& built) {
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    expect_whole(built, **image);
}

struct TemporaryFile {
    std::string path = testing::TempDir() + "squenv-image-XXXXXX";
    explicit TemporaryFile(const ByteVector& bytes) {
        const int fd = ::mkstemp(path.data());
        ::close(fd);
        write(bytes);
    }
    TemporaryFile(const TemporaryFile&) = delete;
    ~TemporaryFile() { ::unlink(path.c_str()); }
    void write(const ByteVector& bytes) const {
        std::ofstream(path, std::ios::binary | std::ios::trunc)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
};

TEST(Image, SampleTreeIsReadAsItWasBuilt) {
    expect_whole(sample_tree().build());
}

TEST(Image, EveryLayoutIsReadTheSame) {
    for (const std::uint32_t block_size : {4096U, 131072U, 1048576U})
        for (const bool fragments : {false, true})
            for (const bool export_table : {false, true})
                for (const std::uint64_t gap : {0U, 777U}) {
                    SCOPED_TRACE(testing::Message() << block_size << ' ' << fragments << ' '
                                                    << export_table << ' ' << gap);
                    BuildOptions options;
                    options.block_size = block_size;
                    options.fragments = fragments;
                    options.export_table = export_table;
                    options.gap = gap;
                    expect_whole(sample_tree(options).build());
                }
}

TEST(Image, EveryCompressorIsReadTheSame) {
    for (std::uint16_t id = 1; id <= 6; ++id) {
        if (!codec::is_available(CompressorId{id})) continue;
        SCOPED_TRACE(format::compressor_name(CompressorId{id}));
        BuildOptions options;
        options.compressor = CompressorId{id};
        options.compress_data = options.compress_metadata = true;
        auto builder = sample_tree(options);
        builder.file("text", std::string(20000, 'x') + std::string(300, 'y'));
        expect_whole(builder.build());
    }
}

TEST(Image, AttributesAreThoseOfTheInode) {
    auto builder = sample_tree();
    builder.at("small").mode = 06711;
    builder.at("small").mtime = 0xFFFFFFFF;
    const auto built = builder.build();
    const auto image = open_image(built);
    ASSERT_TRUE(image);
    const auto small = (*image)->resolve("small");
    ASSERT_TRUE(small);
    EXPECT_EQ(small->mode, 06711);
    EXPECT_EQ(small->mtime, 0xFFFFFFFFU);
    EXPECT_EQ(small->uid, 1000U);
    EXPECT_EQ(small->gid, 100U);
    EXPECT_EQ(small->nlink, 1U);
    EXPECT_EQ((*image)->resolve("tty")->device, 0x0501U);
    EXPECT_EQ((*image)->resolve("tty")->type, InodeType::char_device);
    EXPECT_EQ((*image)->resolve("hard1")->nlink, 2U);
    EXPECT_EQ((*image)->resolve("hard1")->reference, (*image)->resolve("hard2")->reference);
    EXPECT_EQ((*image)->resolve("sparse")->sparse_bytes, 4096U);
}

TEST(Image, PathsResolveAsPeopleWriteThem) {
    const auto built = sample_tree().build();
    const auto image = open_image(built);
    ASSERT_TRUE(image);
    const auto leaf = (*image)->resolve("dir/c/leaf")->reference;
    for (const char* path : {"/dir/c/leaf", "dir//c/./leaf", "dir/c/leaf/"})
        EXPECT_EQ((*image)->resolve(path)->reference, leaf) << path;
    EXPECT_EQ((*image)->resolve("/")->reference, (*image)->root().reference);
    for (const char* path : {"none", "dir/none", "small/x", "dir/..", "link/x"})
        EXPECT_EQ((*image)->resolve(path).error().code, Errc::not_found) << path;
    EXPECT_FALSE((*image)->lookup((*image)->root(), std::string(300, 'x')).value());
    EXPECT_EQ((*image)->read_link((*image)->root()).error().code, Errc::invalid_argument);
}

TEST(Image, ExportTableFindsInodesByNumber) {
    const auto built = sample_tree().build();
    const auto image = open_image(built);
    ASSERT_TRUE(image);
    for (const char* path : {"small", "dir", "xlink"}) {
        const auto inode = (*image)->resolve(path);
        EXPECT_EQ((*image)->exported(inode->number).value(), inode->reference) << path;
    }
    for (const std::uint32_t number : {0U, (*image)->superblock().inode_count + 1, ~0U})
        EXPECT_EQ((*image)->exported(number).error().code, Errc::not_found);
}

TEST(Image, FullTableBlocksAreRead) {
    // 2048 ids fill one metadata block exactly; a kernel of 2021 refused such images.
    for (const std::size_t count : {2046U, 2047U, 4094U, 60000U}) {
        BuildOptions options;
        for (std::uint32_t i = 0; i < count; ++i) options.ids.push_back(100'000 + i);
        const auto built = sample_tree(options).build();
        const auto image = open_image(built);
        ASSERT_TRUE(image) << image.error().message();
        EXPECT_EQ((*image)->ids().size(), count + 2);
        EXPECT_EQ((*image)->resolve("small")->uid, 1000U);
    }
}

TEST(Image, ManyInodesAndXattrSetsFillTheirTables) {
    ImageBuilder builder;
    TestNode& directory = builder.directory("d");
    for (int i = 0; i < 1022; ++i) {
        TestNode node;
        node.content = std::to_string(i);
        if (i < 512) node.xattrs = {{"user.number", std::to_string(i)}};
        builder.add(directory, fmt::format("f{}", i), node);
    }
    const auto built = builder.build();
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ((*image)->superblock().inode_count, 1024U);
    EXPECT_EQ(read_file(**image, "d/f1021").value(), "1021");
    const auto last = (*image)->resolve("d/f511");
    EXPECT_EQ(as_text((*image)->xattrs().value(*last, "user.number").value().value()), "511");
    EXPECT_TRUE((*image)->exported(1024));
}

TEST(Image, XattrsInLineAndElsewhere) {
    ImageBuilder builder;
    auto& file = builder.file("f", "x");
    file.xattrs = {{"user." + std::string(250, 'n'), std::string(65536, 'v')},
                   {"trusted.empty", ""},
                   {"security.s", "label"}};
    auto& other = builder.file("g", "x");
    other.xattrs = file.xattrs;
    other.has_values_elsewhere = true;
    const auto built = builder.build();
    expect_whole(built);
    const auto image = open_image(built);
    EXPECT_FALSE((*image)->xattrs().value(*(*image)->resolve("f"), "user.none").value());
    EXPECT_TRUE((*image)->xattrs().names((*image)->root())->empty());
}

TEST(Image, XattrsAreVisitedInOnePass) {
    ImageBuilder builder;
    auto& file = builder.file("f", "x");
    // As many as an object can have: with a search for each, this takes many seconds.
    constexpr int kMany = 10'000;
    for (int i = 0; i < kMany; ++i)
        file.xattrs.emplace_back(fmt::format("user.{:05}", i), std::to_string(i));
    auto& other = builder.file("g", "x");
    other.xattrs = {{"user.a", "first"}, {"user.b", "between"}, {"user.a", "second"}};
    other.has_values_elsewhere = true;
    const auto built = builder.build();
    const auto image = open_image(built);
    const auto visited = [&](const char* path) {
        std::vector<std::pair<std::string, std::string>> found;
        const auto keep = [&](const std::string& name, const ByteVector& value) {
            found.emplace_back(name, as_text(value));
            return true;
        };
        EXPECT_TRUE((*image)->xattrs().visit(*(*image)->resolve(path), keep));
        return found;
    };
    EXPECT_EQ(visited("f"), file.xattrs);
    EXPECT_EQ(visited("g"), (std::vector<std::pair<std::string, std::string>>{
                                {"user.a", "first"}, {"user.b", "between"}}));
    EXPECT_TRUE(visited("").empty());
}

TEST(Image, AVisitOfXattrsCanEndEarly) {
    const auto built = sample_tree().build();
    const auto image = open_image(built);
    int calls = 0;
    const auto stop = [&](const std::string&, const ByteVector&) { return ++calls, false; };
    EXPECT_TRUE((*image)->xattrs().visit(*(*image)->resolve("xattrs"), stop));
    EXPECT_EQ(calls, 1);
}

TEST(Image, UnknownXattrPrefixesAreSkipped) {
    auto built = sample_tree().build();
    built.set("xattr:xattrs#0.type", 5);
    const auto image = open_image(built);
    EXPECT_EQ((*image)->xattrs().names(*(*image)->resolve("xattrs")).value(),
              (std::vector<std::string>{"security.two"}));
}

TEST(Image, StreamedImageHasItsSuperblockAtTheEnd) {
    auto built = sample_tree().build();
    const ByteVector superblock(built.bytes.begin(), built.bytes.begin() + 96);
    std::fill_n(built.bytes.begin(), 96, std::byte{0});
    built.set("superblock.magic", format::kStreamedMagic);
    built.bytes.insert(built.bytes.end(), superblock.begin(), superblock.end());
    const auto image = open_image(built);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_TRUE((*image)->is_streamed());
    expect_whole(built, **image);
}

TEST(Image, OpensFilesAtAnOffset) {
    const auto built = sample_tree().build();
    ByteVector shifted(5000, std::byte{0x42});
    append(shifted, ByteView(built.bytes));
    const TemporaryFile file(shifted);
    image::OpenOptions options;
    options.offset = 5000;
    const auto image = image::Image::open(file.path, options);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ((*image)->offset(), 5000U);
    expect_whole(built, **image);
    options.offset = shifted.size() + 1;
    EXPECT_EQ(image::Image::open(file.path, options).error().code, Errc::invalid_argument);
    EXPECT_EQ(image::Image::open(file.path).error().code, Errc::unsupported);
}

TEST(Image, WhatCannotBeOpenedSaysWhy) {
    EXPECT_EQ(image::Image::open("/nonexistent").error().code, Errc::not_found);
    EXPECT_EQ(image::Image::open(testing::TempDir()).error().code, Errc::invalid_argument);
    EXPECT_EQ(image::Image::open("/dev/null").error().code, Errc::invalid_argument);
    const TemporaryFile empty({});
    const auto image = image::Image::open(empty.path);
    EXPECT_EQ(image.error().code, Errc::unsupported);
    EXPECT_NE(image.error().context.find(empty.path), std::string::npos);
}

TEST(Image, NoticesThatTheFileChanged) {
    const auto built = sample_tree().build();
    const TemporaryFile file(built.bytes);
    const auto image = image::Image::open(file.path);
    ASSERT_TRUE(image);
    EXPECT_FALSE((*image)->has_changed());
    file.write(ByteVector(built.bytes.size()));
    EXPECT_TRUE((*image)->has_changed());
    const auto read = read_file(**image, "big");
    EXPECT_TRUE(!read || *read != built.files.at("big"));
}

TEST(Image, ARemovedFileStaysReadable) {
    const auto built = sample_tree().build();
    const TemporaryFile file(built.bytes);
    const auto image = image::Image::open(file.path);
    ASSERT_TRUE(image);
    ::unlink(file.path.c_str());
    expect_whole(built, **image);
}

TEST(Walk, VisitsEveryNameOnce) {
    const auto built = sample_tree().build();
    const auto image = open_image(built);
    std::vector<std::string> entered;
    std::vector<std::string> left;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode&) {
        entered.push_back(path);
        return true;
    };
    visitor.leave = [&](const std::string& path, const image::Inode&) { left.push_back(path); };
    visitor.failed = [](const std::string& path, const Error& error) {
        ADD_FAILURE() << path << error.message();
        return true;
    };
    image::walk(**image, (*image)->root(), visitor);
    EXPECT_EQ(left, (std::vector<std::string>{"dir/c", "dir", "empty", ""}));
    std::sort(entered.begin(), entered.end());
    EXPECT_EQ(entered, all_paths(built));
}

TEST(Walk, StopsWhenAsked) {
    const auto built = sample_tree().build();
    const auto image = open_image(built);
    int visits = 0;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string&, const image::Inode&) { return ++visits < 4; };
    visitor.failed = [](const std::string&, const Error&) { return true; };
    image::walk(**image, (*image)->root(), visitor);
    EXPECT_EQ(visits, 4);
}

TEST(Locate, FindsTheImageBehindAnElfFile) {
    // The shortest ELF header with one section that ends at byte 4096.
    ByteVector file(4096);
    const auto put = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i)
            file[at + i] = static_cast<std::byte>(value >> (8 * i));
    };
    put(0, 0x464C457F, 4);
    put(4, 0x010102, 3);  // 64 bits, little endian
    put(40, 64, 8);       // section table
    put(58, 64, 2);       // size of its entries
    put(60, 1, 2);        // one
    put(64 + 4, 1, 4);    // a section with content
    put(64 + 24, 1000, 8);
    put(64 + 32, 3096, 8);
    const auto built = sample_tree().build();
    append(file, ByteView(built.bytes));
    const MemorySource source(file);
    EXPECT_EQ(image::find_image_offset(source).value(), 4096U);
    EXPECT_EQ(image::describe_container(source), "an AppImage");
    const TemporaryFile on_disk(file);
    image::OpenOptions options;
    options.find_offset = true;
    EXPECT_TRUE(image::Image::open(on_disk.path, options));
    EXPECT_NE(image::Image::open(on_disk.path).error().hint.find("offset=auto"), std::string::npos);
}

TEST(Locate, DamagedContainersEndWithAnError) {
    ByteVector elf(200, std::byte{0xFF});
    const char head[] =
        "\x7F"
        "ELF\x02\x01";
    std::copy_n(reinterpret_cast<const std::byte*>(head), 6, elf.begin());
    EXPECT_EQ(image::find_image_offset(MemorySource(elf)).error().code, Errc::unsupported);
    ByteVector sif(200, std::byte{0xFF});
    const std::string magic = "SIF_MAGIC";
    std::copy_n(reinterpret_cast<const std::byte*>(magic.data()), magic.size(), sif.begin() + 32);
    EXPECT_EQ(image::find_image_offset(MemorySource(sif)).error().code, Errc::unsupported);
    EXPECT_EQ(image::find_image_offset(MemorySource({})).error().code, Errc::unsupported);
}

}  // namespace
}  // namespace squenv::test
