// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <squenv/image.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "support/image_builder.h"

namespace squenv::test {
namespace {

namespace fs = std::filesystem;

class ApiImage : public ::testing::Test {
  protected:
    ApiImage() {
        std::string name = (fs::temp_directory_path() / "squenv-api-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
    }
    ~ApiImage() override { fs::remove_all(directory_); }

    [[nodiscard]] std::string path() const { return directory_ / "image"; }
    void write(const BuiltImage& built, std::size_t gap = 0) const {
        std::ofstream file(path(), std::ios::binary);
        file << std::string(gap, 'x');
        file.write(reinterpret_cast<const char*>(built.bytes.data()),
                   static_cast<std::streamsize>(built.bytes.size()));
    }
    [[nodiscard]] Image open(const BuiltImage& built) const {
        write(built);
        auto image = Image::open(path());
        EXPECT_TRUE(image) << image.error().message();
        return std::move(*image);
    }

    fs::path directory_;
};

/// All of a file in steps that are no multiple of a block.
Expected<std::string> content_of(const Image& image, NodeId file) {
    std::string content;
    std::vector<std::byte> buffer(1777);
    for (;;) {
        const auto count = image.read(file, content.size(), buffer);
        if (!count) return count.error();
        content.append(reinterpret_cast<const char*>(buffer.data()), *count);
        if (*count < buffer.size()) return content;
    }
}

TEST_F(ApiImage, EverythingIsReadAsItWasBuilt) {
    const auto built = sample_tree().build();
    const Image image = open(built);
    for (const auto& [name, content] : built.files) {
        const auto stat = image.stat(name);
        ASSERT_TRUE(stat) << stat.error().message();
        EXPECT_EQ(stat->type, FileType::file);
        EXPECT_EQ(stat->size_bytes, content.size());
        const auto read = content_of(image, stat->id);
        ASSERT_TRUE(read) << read.error().message();
        EXPECT_EQ(*read, content) << name;
    }
    for (const auto& [name, target] : built.symlinks)
        EXPECT_EQ(*image.read_link(image.stat(name)->id), target);
    for (const auto& [name, entries] : built.directories) {
        const auto listed = image.list(image.stat(name)->id);
        ASSERT_TRUE(listed) << listed.error().message();
        std::vector<std::string> names;
        for (const auto& entry : *listed) {
            names.push_back(entry.name);
            const auto found = image.find(image.stat(name)->id, entry.name);
            ASSERT_TRUE(found && *found);
            EXPECT_EQ((*found)->id, entry.id);
            EXPECT_EQ((*found)->type, entry.type);
            EXPECT_EQ((*found)->inode_number, entry.inode_number);
        }
        EXPECT_EQ(names, entries);
    }
    for (const auto& [name, pairs] : built.xattrs) {
        const NodeId id = image.stat(name)->id;
        std::vector<std::string> names;
        for (const auto& [key, value] : pairs) {
            names.push_back(key);
            EXPECT_EQ(*image.xattr(id, key), value);
        }
        EXPECT_EQ(*image.xattr_names(id), names);
    }
}

TEST_F(ApiImage, StatTellsWhatTheInodeHas) {
    const Image image = open(sample_tree().build());
    const auto small = image.stat("/small/");
    ASSERT_TRUE(small);
    EXPECT_EQ(small->permissions, 0644U);
    EXPECT_EQ(small->uid, 1000U);
    EXPECT_EQ(small->gid, 100U);
    EXPECT_EQ(small->mtime, 1'000'000'000);
    EXPECT_EQ(image.stat(small->id)->inode_number, small->inode_number);
    EXPECT_EQ(image.stat("hard1")->id, image.stat("hard2")->id);
    EXPECT_EQ(image.stat("hard1")->link_count, 2U);
    EXPECT_EQ(image.stat("tty")->type, FileType::char_device);
    EXPECT_EQ(image.stat("tty")->device_major, 5U);
    EXPECT_EQ(image.stat("tty")->device_minor, 1U);
    EXPECT_EQ(image.stat("pipe")->type, FileType::fifo);
    EXPECT_EQ(image.stat("socket")->type, FileType::socket);
    EXPECT_EQ(image.stat("link")->type, FileType::symlink);
    EXPECT_EQ(image.stat("link")->size_bytes, std::string("dir/c/leaf").size());
    EXPECT_EQ(image.stat("")->id, image.root());
    EXPECT_EQ(image.block_size(), 4096U);
    EXPECT_EQ(image.codec(), "gzip");
    EXPECT_FALSE(image.has_changed());
}

TEST_F(ApiImage, ReadsEndWithTheFile) {
    const auto built = sample_tree().build();
    const Image image = open(built);
    const auto& content = built.files.at("big");
    const NodeId file = image.stat("big")->id;
    std::vector<std::byte> buffer(100'000);
    EXPECT_EQ(*image.read(file, 0, buffer), content.size());
    EXPECT_EQ(*image.read(file, 5000, std::span(buffer).first(10)), 10U);
    EXPECT_EQ(std::memcmp(buffer.data(), content.data() + 5000, 10), 0);
    EXPECT_EQ(*image.read(file, content.size() - 3, buffer), 3U);
    EXPECT_EQ(*image.read(file, content.size(), buffer), 0U);
    EXPECT_EQ(*image.read(file, ~std::uint64_t{0}, buffer), 0U);
    EXPECT_EQ(*image.read(file, 0, {}), 0U);
}

TEST_F(ApiImage, LargeReadsAreWhole) {
    ImageBuilder builder;
    builder.file("large", pattern((9U << 20) + 17, 1));
    const auto built = builder.build();
    const Image image = open(built);
    std::string content((9U << 20) + 17, '\0');
    const auto count =
        image.read(image.stat("large")->id, 0, std::as_writable_bytes(std::span(content)));
    ASSERT_TRUE(count) << count.error().message();
    EXPECT_EQ(*count, content.size());
    EXPECT_TRUE(content == built.files.at("large"));
}

TEST_F(ApiImage, HolesAreFound) {
    const Image image = open(sample_tree().build());
    const NodeId file = image.stat("sparse")->id;  // a block of data, of zeros, of data
    EXPECT_EQ(*image.next_data(file, 0), 0U);
    EXPECT_EQ(*image.next_hole(file, 0), 4096U);
    EXPECT_EQ(*image.next_data(file, 5000), 8192U);
    EXPECT_EQ(*image.next_hole(file, 9000), 12288U);
    EXPECT_EQ(*image.next_data(file, 12288), std::nullopt);
}

TEST_F(ApiImage, ListingsCanBeReadInParts) {
    const auto built = sample_tree().build();
    const Image image = open(built);
    const auto whole = *image.list(image.root());
    std::vector<std::string> names;
    for (std::uint64_t first = 0;; first += 4) {
        const auto part = image.list(image.root(), first, 4);
        ASSERT_TRUE(part);
        for (const auto& entry : *part) names.push_back(entry.name);
        if (part->size() < 4) break;
    }
    EXPECT_EQ(names, built.directories.at(""));
    EXPECT_TRUE(image.list(image.root(), 0, 0)->empty());
    EXPECT_TRUE(image.list(image.root(), whole.size() + 5, 4)->empty());
}

TEST_F(ApiImage, WalkVisitsEveryNameOnce) {
    const auto built = sample_tree().build();
    const Image image = open(built);
    std::map<std::string, int> visited;
    WalkVisitor visitor;
    visitor.visit = [&](const std::string& path, const Stat&) { return ++visited[path] > 0; };
    ASSERT_TRUE(image.walk(image.root(), visitor));
    std::size_t expected = 1;
    for (const auto& [name, entries] : built.directories) expected += entries.size();
    EXPECT_EQ(visited.size(), expected);
    EXPECT_EQ(visited["dir/c/leaf"], 1);

    visited.clear();
    ASSERT_TRUE(image.walk(image.stat("dir/c")->id, visitor));
    EXPECT_EQ(visited, (std::map<std::string, int>{{"", 1}, {"leaf", 1}}));
    int left = 3;
    visitor.visit = [&](const std::string&, const Stat&) { return --left > 0; };
    ASSERT_TRUE(image.walk(image.root(), visitor));
    EXPECT_EQ(left, 0);
}

TEST_F(ApiImage, DamageIsAnErrorOfOneObject) {
    auto built = sample_tree().build();
    built.set("inode:dir/a.type", 77);
    const Image image = open(built);
    const auto stat = image.stat("dir/a");
    ASSERT_FALSE(stat);
    EXPECT_EQ(stat.error().code, Errc::corrupt);
    EXPECT_TRUE(image.stat("dir/b"));

    std::vector<std::string> visited;
    std::vector<std::string> failed;
    WalkVisitor visitor;
    visitor.visit = [&](const std::string& path, const Stat&) {
        visited.push_back(path);
        return true;
    };
    const auto stopped = image.walk(image.root(), visitor);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, Errc::corrupt);
    EXPECT_EQ(stopped.error().context.rfind("dir/a: ", 0), 0U) << stopped.error().context;
    EXPECT_EQ(visited.back(), "dir");

    visitor.failed = [&](const std::string& path, const Error& error) {
        EXPECT_EQ(error.code, Errc::corrupt);
        failed.push_back(path);
        return true;
    };
    EXPECT_TRUE(image.walk(image.root(), visitor));
    EXPECT_EQ(failed, std::vector<std::string>{"dir/a"});
    EXPECT_NE(std::find(visited.begin(), visited.end(), "dir/b"), visited.end());
}

template <class T>
void expect_error(const Expected<T>& result, Errc code, int sys_errno = 0) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().message();
    if (sys_errno != 0) {
        EXPECT_EQ(result.error().sys_errno, sys_errno);
    }
    EXPECT_FALSE(result.error().context.empty());
}

TEST_F(ApiImage, ObjectsOfAnotherTypeAreRefused) {
    const Image image = open(sample_tree().build());
    std::byte byte{};
    const std::span<std::byte> out(&byte, 1);
    expect_error(image.read(image.root(), 0, out), Errc::invalid_argument, EISDIR);
    expect_error(image.read(image.stat("pipe")->id, 0, out), Errc::invalid_argument, EINVAL);
    expect_error(image.next_data(image.root(), 0), Errc::invalid_argument, EISDIR);
    expect_error(image.list(image.stat("small")->id), Errc::invalid_argument, ENOTDIR);
    expect_error(image.find(image.stat("link")->id, "x"), Errc::invalid_argument, ENOTDIR);
    expect_error(image.read_link(image.stat("small")->id), Errc::invalid_argument, EINVAL);
    expect_error(image.stat("none"), Errc::not_found);
    expect_error(image.stat("small/none"), Errc::not_found);
    expect_error(image.stat("dir/.."), Errc::not_found);
    EXPECT_EQ(*image.find(image.root(), "none"), std::nullopt);
    EXPECT_EQ(*image.find(image.root(), std::string(300, 'n')), std::nullopt);
    EXPECT_EQ(*image.xattr(image.stat("xattrs")->id, "user.none"), std::nullopt);
    EXPECT_TRUE(image.xattr_names(image.stat("small")->id)->empty());
}

TEST_F(ApiImage, AnyNumberMayBeANodeId) {
    const Image image = open(sample_tree().build());
    std::byte bytes[100];
    for (const std::uint64_t value :
         {std::uint64_t{1}, std::uint64_t{8191}, std::uint64_t{8192}, std::uint64_t{1} << 16,
          std::uint64_t{1} << 47, ~std::uint64_t{0} >> 16, ~std::uint64_t{0}}) {
        (void)image.stat(NodeId{value});
        (void)image.list(NodeId{value});
        (void)image.read(NodeId{value}, 0, bytes);
        (void)image.xattr_names(NodeId{value});
    }
    expect_error(image.stat(NodeId{~std::uint64_t{0}}), Errc::corrupt);
}

TEST_F(ApiImage, OpeningSaysWhyNot) {
    expect_error(Image::open(path()), Errc::not_found, ENOENT);
    expect_error(Image::open(directory_), Errc::invalid_argument);
    std::ofstream(path()) << std::string(5000, 'x');
    expect_error(Image::open(path()), Errc::unsupported);
    EXPECT_NE(Image::open(path()).error().context.find(path()), std::string::npos);
    write(sample_tree().build(), 8192);
    ImageOptions options;
    options.offset = 8192;
    const auto image = Image::open(path(), options);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->offset(), 8192U);
    EXPECT_TRUE(image->stat("small"));
    options.offset = 1U << 30;
    expect_error(Image::open(path(), options), Errc::invalid_argument);
}

TEST_F(ApiImage, AnImageThatBecameShorterIsAnIoError) {
    const auto built = sample_tree().build();
    const Image image = open(built);
    const NodeId file = image.stat("big")->id;
    fs::resize_file(path(), 96);
    EXPECT_TRUE(image.has_changed());
    std::vector<std::byte> buffer(10);
    expect_error(image.read(file, 0, buffer), Errc::io);
}

TEST_F(ApiImage, OneImageServesManyThreads) {
    const auto built = sample_tree().build();
    Image opened = open(built);
    const Image image = std::move(opened);
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int round = 0; round < 20; ++round)
                for (const auto& [name, content] : built.files) {
                    const auto stat = image.stat(name);
                    if (!stat) {
                        ++wrong;
                        continue;
                    }
                    const auto read = content_of(image, stat->id);
                    if (!read || *read != content) ++wrong;
                }
        });
    threads.clear();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace squenv::test
