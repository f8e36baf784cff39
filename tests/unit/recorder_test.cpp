// SPDX-License-Identifier: MIT
#include "fuse/recorder.h"

#include <gtest/gtest.h>

#include "appendix/appendix.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

class RecorderTest : public testing::Test {
  protected:
    RecorderTest() {
        ImageBuilder builder;
        builder.file("file", "content");
        built_ = builder.build();
        image_ = std::move(open_image(built_).value());
        files_.emplace(fuse::FileSystem::create(*image_, {}).value());
        file_ = files_->lookup(fuse::kRootNode, "file").value().value().id;
    }
    trace::Trace finish() { return recorder_.finish(*files_, fuse::RequestCounters()); }

    BuiltImage built_;
    std::unique_ptr<image::Image> image_;
    std::optional<fuse::FileSystem> files_;
    fuse::NodeId file_ = 0;
    fuse::Recorder recorder_;
};

TEST_F(RecorderTest, KeepsAsManyTouchesAsAnImageTakes) {
    for (std::size_t i = 0; i < appendix::kMaxHotItems; ++i)
        recorder_.note(trace::Use::look, fuse::kRootNode);
    EXPECT_FALSE(finish().is_full);
    recorder_.note(trace::Use::look, file_);
    const auto trace = finish();
    EXPECT_TRUE(trace.is_full);
    ASSERT_EQ(trace.items.size(), 1U);
    EXPECT_EQ(trace.items[0].path, ".");
}

TEST_F(RecorderTest, KeepsAsManyMissingNamesAsAnImageTakes) {
    const std::string name(250, 'n');
    for (std::size_t i = 0; i < appendix::kMaxHotListBytes / name.size(); ++i)
        recorder_.note_missing(fuse::kRootNode, name);
    EXPECT_FALSE(finish().is_full);
    recorder_.note_missing(fuse::kRootNode, name);
    EXPECT_TRUE(finish().is_full);
}

}  // namespace
}  // namespace squenv::test
