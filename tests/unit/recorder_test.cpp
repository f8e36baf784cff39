// SPDX-License-Identifier: MIT
#include "fuse/recorder.h"

#include <gtest/gtest.h>

#include "appendix/appendix.h"
#include "base/shared_object.h"
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
    SharedObject<fuse::RecorderMemory> memory_ =
        std::move(make_shared_object<fuse::RecorderMemory>().value());
    fuse::Recorder recorder_{*memory_};
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

TEST_F(RecorderTest, GoesOnWithWhatAnotherRecorded) {
    recorder_.note(trace::Use::look, file_);
    recorder_.note_missing(fuse::kRootNode, "missing");
    recorder_.note_duration(fuse::RequestKind::read, file_, 7, 0, 4096);
    fuse::Recorder next(*memory_);
    next.note(trace::Use::read, file_, 0, 4);
    const auto trace = next.finish(*files_, fuse::RequestCounters());
    ASSERT_EQ(trace.items.size(), 3U);
    EXPECT_EQ(trace.items[1].path, "missing");
    EXPECT_EQ(trace.items[2].use, trace::Use::read);
    ASSERT_EQ(trace.slowest.size(), 1U);
    EXPECT_EQ(trace.slowest[0].microseconds, 7U);
}

TEST_F(RecorderTest, KeepsTheSlowest) {
    for (std::uint64_t i = 0; i < 100; ++i)
        recorder_.note_duration(fuse::RequestKind::getattr, file_, i * 37 % 100);
    const auto trace = finish();
    ASSERT_EQ(trace.slowest.size(), trace::kMaxSlow);
    for (std::size_t i = 0; i < trace.slowest.size(); ++i)
        EXPECT_EQ(trace.slowest[i].microseconds, 99 - i);
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
