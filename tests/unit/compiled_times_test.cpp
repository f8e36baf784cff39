// SPDX-License-Identifier: MIT
#include "pack/compiled_times.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "pack/tree_builder.h"

namespace squenv::pack {
namespace {

constexpr std::uint32_t kTime = 1'700'000'000;
constexpr std::uint32_t kEarlier = 1'600'000'000;
constexpr std::uint32_t kSize = 7;

std::string word(std::uint32_t value) {
    std::string text;
    for (int i = 0; i < 4; ++i) text += static_cast<char>((value >> (8 * i)) & 0xFFU);
    return text;
}

std::string compiled(std::uint32_t flags, std::uint32_t time, std::uint32_t size) {
    return std::string("\xa7\x0d\x0d\x0a", 4) + word(flags) + word(time) + word(size) + "code";
}

/// Files by their paths, all of them of kTime.
class FakeSource final : public Source {
  public:
    class Reader final : public FileReader {
      public:
        Reader(const std::map<std::string, std::string>& files, const Tree& tree)
            : files_(files), tree_(tree) {}
        Status read(EntryId node, std::uint64_t offset, MutableBytes out) override {
            const std::string piece = files_.at(tree_.path_of(node)).substr(offset, out.size());
            const auto bytes = as_bytes(piece);
            std::copy(bytes.begin(), bytes.end(), out.begin());
            return {};
        }
        Result<std::uint64_t> next_data(EntryId, std::uint64_t offset) override { return offset; }

      private:
        const std::map<std::string, std::string>& files_;
        const Tree& tree_;
    };

    Result<Scanned> scan() override {
        TreeBuilder builder;
        for (const auto& [path, content] : files) {
            Node* node = *builder.at(path);
            node->type = format::InodeType::file;
            node->size_bytes = content.size();
            node->mtime_seconds = kTime;
        }
        Scanned scanned;
        scanned.tree = builder.build();
        return scanned;
    }
    std::unique_ptr<FileReader> open_reader(const Tree& tree) const override {
        return std::make_unique<Reader>(files, tree);
    }

    std::map<std::string, std::string> files;
};

/// `path` as it is packed, with its source beside "__pycache__" when there is one.
std::string packed(const std::string& path, const std::string& content, const Options& options,
                   const std::string& source = "pkg/m.py") {
    FakeSource files;
    files.files[source] = std::string(kSize, 's');
    files.files[path] = content;
    RetimedSource retimed(files, options);
    const Scanned scanned = std::move(*retimed.scan());
    const auto reader = retimed.open_reader(scanned.tree);
    std::string text(content.size(), '\0');
    const MutableBytes bytes(reinterpret_cast<std::byte*>(text.data()), text.size());
    EXPECT_TRUE(reader->read(scanned.tree.find(path), 0, bytes));
    return text;
}

Options not_after(std::uint32_t time) {
    Options options;
    options.newest_mtime = time;
    return options;
}

TEST(CompiledTimes, FollowTheirSources) {
    const std::string content = compiled(0, kTime, kSize);
    for (const char* path :
         {"pkg/__pycache__/m.cpython-311.pyc", "pkg/__pycache__/m.cpython-311.opt-1.pyc",
          "pkg/__pycache__/m.pypy39.opt-2.pyc"}) {
        EXPECT_EQ(packed(path, content, not_after(kEarlier)), compiled(0, kEarlier, kSize)) << path;
        EXPECT_EQ(packed(path, content, not_after(kTime)), content);
        EXPECT_EQ(packed(path, content, {}), content);
    }
    Options options;
    options.mtime = 5;
    EXPECT_EQ(packed("pkg/__pycache__/m.cpython-311.pyc", content, options), compiled(0, 5, kSize));
    EXPECT_EQ(packed("pkg/__pycache__/a.b.cpython-311.pyc", content, options, "pkg/a.b.py"),
              compiled(0, 5, kSize));
}

TEST(CompiledTimes, LeaveEverythingElseAlone) {
    const Options options = not_after(kEarlier);
    const std::string path = "pkg/__pycache__/m.cpython-311.pyc";
    for (const std::uint32_t flags : {1U, 3U, 4U}) {
        const std::string by_hash = compiled(flags, kTime, kSize);
        EXPECT_EQ(packed(path, by_hash, options), by_hash) << flags;
    }
    const std::string content = compiled(0, kTime, kSize);
    for (const char* other : {"pkg/m.pyc", "pkg/__pycache__/other.cpython-311.pyc",
                              "pkg/__pycache__/m.pyc", "pkg/__pycache__/m.cpython-311.nbi",
                              "__pycache__/m.cpython-311.pyc", "pkg/cache/m.cpython-311.pyc"})
        EXPECT_EQ(packed(other, content, options), content) << other;
    EXPECT_EQ(packed(path, "short", options), "short");
    EXPECT_EQ(packed(path, "", options), "");
}

TEST(CompiledTimes, WhatDoesNotFitItsSourceNeverWill) {
    const Options options = not_after(kEarlier);
    const std::string path = "pkg/__pycache__/m.cpython-311.pyc";
    for (const std::string& stale : {compiled(0, kTime - 1, kSize), compiled(0, kTime, kSize + 1)})
        EXPECT_EQ(packed(path, stale, options), stale);
    // Of the same size, and of the very time that the source gets.
    EXPECT_NE(packed(path, compiled(0, kEarlier, kSize), options), compiled(0, kEarlier, kSize));
}

}  // namespace
}  // namespace squenv::pack
