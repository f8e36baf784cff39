// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <squenv/pack.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace squenv::pack {
namespace {

namespace fs = std::filesystem;

class PackTree : public ::testing::Test {
  protected:
    PackTree() {
        std::string name = (fs::temp_directory_path() / "squenv-api-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        fs::create_directories(root_ / "tree/inside/pkg");
        for (const char* file : {"a", "b", "inside/pkg/c"})
            std::ofstream(root_ / "tree" / file) << std::string(100'000, 'x');
    }
    ~PackTree() override { fs::remove_all(root_); }
    [[nodiscard]] std::string path(const std::string& name) const { return root_ / name; }

    fs::path root_;
};

TEST_F(PackTree, ReportsWhatWasPacked) {
    Options options;
    std::uint64_t last = 0;
    options.progress = [&](const Progress& progress) {
        EXPECT_GE(progress.bytes_done, last);
        EXPECT_LE(progress.bytes_done, progress.bytes_total);
        last = progress.bytes_done;
    };
    const Outcome outcome = pack_tree(path("tree"), path("image"), options);
    ASSERT_FALSE(outcome.error) << outcome.error->message();
    EXPECT_EQ(outcome.report.inodes, 6U);
    EXPECT_EQ(outcome.report.files, 3U);
    EXPECT_EQ(outcome.report.directories, 3U);
    EXPECT_EQ(outcome.report.source_bytes, 300'000U);
    EXPECT_EQ(outcome.report.duplicate_files, 2U);
    EXPECT_EQ(outcome.report.image_bytes, fs::file_size(path("image")));
    EXPECT_EQ(last, 300'000U);
}

TEST_F(PackTree, StopsWhenItIsTold) {
    const std::atomic<bool> cancel{true};
    Options options;
    options.cancel = &cancel;
    const Outcome outcome = pack_tree(path("tree"), path("image"), options);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, Errc::cancelled);
    EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 1);
}

TEST_F(PackTree, RefusesImpossibleOptions) {
    Options options;
    options.block_size = 5000;
    EXPECT_EQ(pack_tree(path("tree"), path("image"), options).error->code, Errc::invalid_argument);
    options = {};
    options.level = 23;
    EXPECT_EQ(pack_tree(path("tree"), path("image"), options).error->code, Errc::invalid_argument);
    EXPECT_EQ(pack_tree(path("nothing"), path("image")).error->code, Errc::not_found);
    EXPECT_FALSE(fs::exists(path("image")));
}

}  // namespace
}  // namespace squenv::pack
