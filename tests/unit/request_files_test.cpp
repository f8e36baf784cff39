// SPDX-License-Identifier: MIT
#include "daemon/request_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/image_builder.h"

namespace squenv::test {
namespace {

namespace fs = std::filesystem;
using daemon::RequestFiles;

class RequestFilesTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "squenv-files-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        const auto built = sample_tree().build();
        std::ofstream(directory_ / "image", std::ios::binary)
            .write(reinterpret_cast<const char*>(built.bytes.data()),
                   static_cast<std::streamsize>(built.bytes.size()));
        request_.image_path = directory_ / "image";
        request_.log_destination = directory_ / "log";
        ASSERT_TRUE(daemon::open_image(request_));
        image_ = image::Image::open(request_.file, request_.image).value();
    }
    void TearDown() override { fs::remove_all(directory_); }

    void record_into(const std::string& name) { request_.record_path = directory_ / name; }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(directory_ / name) << text;
    }
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ifstream file(directory_ / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    fs::path directory_;
    daemon::Request request_;
    std::unique_ptr<image::Image> image_;
};

TEST_F(RequestFilesTest, ATraceIsEmptiedByBegin) {
    write("t", "a trace of before");
    record_into("t");
    auto files = RequestFiles::open(request_);
    ASSERT_TRUE(files);
    EXPECT_EQ(content("t"), "a trace of before") << "a mount that is joined records elsewhere";
    ASSERT_TRUE(files->begin(request_, *image_));
    EXPECT_EQ(content("t"), "");
}

TEST_F(RequestFilesTest, TheNextMethodFindsThemBegun) {
    record_into("t");
    auto files = RequestFiles::open(request_);
    ASSERT_TRUE(files && files->begin(request_, *image_));
    write("t", "written meanwhile");
    ASSERT_TRUE(files->begin(request_, *image_));
    EXPECT_EQ(content("t"), "written meanwhile");
    EXPECT_FALSE(files->has_failed());
}

TEST_F(RequestFilesTest, ATraceThatIsRecordedIntoFails) {
    record_into("t");
    auto first = RequestFiles::open(request_);
    ASSERT_TRUE(first && first->begin(request_, *image_));
    write("t", "of the first");
    auto second = RequestFiles::open(request_);
    ASSERT_TRUE(second) << "a mount that is joined needs no lock";
    EXPECT_FALSE(second->has_failed());
    const auto status = second->begin(request_, *image_);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::busy);
    EXPECT_FALSE(second->has_failed()) << "the next method may join that mount";
    EXPECT_EQ(content("t"), "of the first");
    first = RequestFiles();
    EXPECT_TRUE(second->begin(request_, *image_));
    EXPECT_EQ(content("t"), "");
}

TEST_F(RequestFilesTest, ATraceThatCannotBeEmptiedIsTheEnd) {
    request_.record_path = "/dev/full";
    auto files = RequestFiles::open(request_);
    ASSERT_TRUE(files);
    EXPECT_FALSE(files->begin(request_, *image_));
    EXPECT_TRUE(files->has_failed());
}

TEST_F(RequestFilesTest, TheImageIsNoTrace) {
    record_into("image");
    const auto files = RequestFiles::open(request_);
    ASSERT_FALSE(files);
    EXPECT_EQ(files.error().code, Errc::invalid_argument);
}

TEST_F(RequestFilesTest, AStageTakesItsSpaceInBegin) {
    request_.stage_directory = directory_;
    auto files = RequestFiles::open(request_);
    ASSERT_TRUE(files && files->stage);
    struct stat info {};
    ASSERT_EQ(::fstat(files->stage->descriptor(), &info), 0);
    EXPECT_EQ(info.st_size, 0);
    ASSERT_TRUE(files->begin(request_, *image_));
    ASSERT_EQ(::fstat(files->stage->descriptor(), &info), 0);
    EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), image_->source().size_bytes());
}

TEST_F(RequestFilesTest, DirectoriesThatAreNotThere) {
    const std::string missing = directory_ / "none";
    record_into("none/t");
    EXPECT_FALSE(RequestFiles::open(request_));
    request_.record_path.clear();
    request_.log_destination = missing + "/log";
    EXPECT_FALSE(RequestFiles::open(request_));
    request_.log_destination = "stderr";
    request_.stage_directory = missing;
    EXPECT_FALSE(RequestFiles::open(request_));
    request_.stage_directory.clear();
    EXPECT_TRUE(RequestFiles::open(request_));
}

TEST_F(RequestFilesTest, OtherDaemonsKeepNone) {
    EXPECT_TRUE(RequestFiles::open(request_).value().descriptors().empty());
    record_into("t");
    request_.stage_directory = directory_;
    EXPECT_EQ(RequestFiles::open(request_).value().descriptors().size(), 2U);
}

}  // namespace
}  // namespace squenv::test
