// SPDX-License-Identifier: MIT
#include "prefetch/recorded_prefetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/cpus.h"
#include "support/kernel_pages.h"
#include "support/no_threads.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr int kFiles = 40;

std::string name_of(int index) {
    return "file" + std::to_string(100 + index);
}

class RecordedPrefetchTest : public testing::Test {
  protected:
    RecordedPrefetchTest() {
        ImageBuilder builder;
        for (int i = 0; i < kFiles; ++i)
            builder.file(name_of(i),
                         pattern(i % 3 == 0 ? 100 : 5 * kBlock + 10, static_cast<unsigned>(i + 1)));
        built_ = builder.build();
        image_ = std::move(open_image(built_).value());
        for (int i = 0; i < kFiles; ++i) {
            const auto file = image_->resolve(name_of(i)).value();
            files_.push_back(prefetch::file_id(file));
            appendix::HotItem item;
            item.reference = files_.back();
            item.size_bytes = file.size_bytes;
            items_.push_back(item);
        }
    }
    const std::string& content_of(int index) { return built_.files.at(name_of(index)); }

    BuiltImage built_;
    std::unique_ptr<image::Image> image_;
    std::vector<prefetch::FileId> files_;
    std::vector<appendix::HotItem> items_;
    FakeKernelPages kernel_;
    prefetch::PageCache pages_{kernel_};
    const std::atomic<bool> never_{false};
};

TEST_F(RecordedPrefetchTest, PlansEveryByteOnce) {
    items_.push_back(items_.front());
    const prefetch::RecordedBlocks plan(*image_, items_, ~std::uint64_t{0}, never_);
    std::uint64_t before = 0;
    for (const auto& block : plan.blocks()) {
        EXPECT_EQ(block.bytes_before, before);
        for (const auto& part : block.parts) before += part.size_bytes;
    }
    EXPECT_EQ(plan.find(files_[1], 0), plan.find(files_[1], 10));
    EXPECT_LT(*plan.find(files_[1], 0), *plan.find(files_[1], 2 * kBlock));
    EXPECT_FALSE(plan.find(12345678, 0));
}

TEST_F(RecordedPrefetchTest, RangesAreRoundedToPagesAndCutAtTheEnd) {
    appendix::HotItem item = items_[1];
    item.offset = kBlock + 100;
    item.size_bytes = 10;
    appendix::HotItem behind = items_[2];
    behind.offset = 1 << 20;
    appendix::HotItem wrong = items_[1];
    wrong.reference = (std::uint64_t{1} << 40) + 77;
    const prefetch::RecordedBlocks plan(*image_, {item, behind, wrong}, ~std::uint64_t{0}, never_);
    ASSERT_EQ(plan.blocks().size(), 1U);
    ASSERT_EQ(plan.blocks()[0].parts.size(), 1U);
    EXPECT_EQ(plan.blocks()[0].parts[0].file_offset, kBlock);
    EXPECT_EQ(plan.blocks()[0].parts[0].size_bytes, kBlock);
}

TEST_F(RecordedPrefetchTest, NoMoreThanAllowedIsPlanned) {
    const prefetch::RecordedBlocks plan(*image_, items_, 3 * kBlock, never_);
    EXPECT_LE(plan.size_bytes(), 3 * kBlock);
}

TEST_F(RecordedPrefetchTest, AListThatGoesOnForEverIsLeft) {
    std::vector<appendix::HotItem> items(1 << 20, items_[1]);
    const std::atomic<bool> now{true};
    EXPECT_TRUE(prefetch::RecordedBlocks(*image_, items, ~std::uint64_t{0}, now).blocks().empty());
    EXPECT_LE(prefetch::RecordedBlocks(*image_, items, 1 << 20, never_).blocks().size(), 6U);
}

TEST_F(RecordedPrefetchTest, ThePartsOfABlockAreTogether) {
    // Every file twice, in an order in which those that share a block are far from each other.
    std::vector<appendix::HotItem> items(items_.rbegin(), items_.rend());
    items.insert(items.end(), items_.begin(), items_.end());
    const prefetch::RecordedBlocks plan(*image_, items, ~std::uint64_t{0}, never_);
    std::set<std::uint64_t> positions;
    std::uint64_t bytes = 0;
    std::size_t parts = 0;
    for (const auto& block : plan.blocks()) {
        EXPECT_TRUE(positions.insert(block.place.position).second);
        EXPECT_EQ(block.bytes_before, bytes);
        ASSERT_FALSE(block.parts.empty());
        for (const auto& part : block.parts) bytes += part.size_bytes;
        parts += block.parts.size();
    }
    EXPECT_EQ(bytes, plan.size_bytes());
    EXPECT_EQ(parts % 2, 0U);
    // Blocks come in the order in which they are wanted first.
    EXPECT_EQ(plan.blocks().front().parts.front().file, files_.back());
    for (int i = 0; i < kFiles; ++i) {
        const auto file = files_[static_cast<std::size_t>(i)];
        for (std::uint64_t at = 0; at < content_of(i).size(); at += kBlock) {
            const auto index = plan.find(file, at + 1);
            ASSERT_TRUE(index) << i;
            const auto& found = plan.blocks()[*index].parts;
            EXPECT_TRUE(std::any_of(
                found.begin(), found.end(),
                [&](const auto& part) { return part.file == file && part.file_offset == at; }))
                << i << ' ' << at;
        }
    }
}

TEST_F(RecordedPrefetchTest, NoListMakesThePlanLargerThanItsBound) {
    // Six blocks an item, of as many items as a list can have.
    const std::vector<appendix::HotItem> items(appendix::kMaxHotItems, items_[1]);
    const prefetch::RecordedBlocks plan(*image_, items, ~std::uint64_t{0}, never_);
    std::size_t parts = 0;
    for (const auto& block : plan.blocks()) parts += block.parts.size();
    EXPECT_GT(parts, 0U);
    EXPECT_LE(parts, prefetch::RecordedBlocks::kMaxParts);
    EXPECT_LE(plan.blocks().size(), 6U);
}

TEST_F(RecordedPrefetchTest, StoresEverythingThatIsKnown) {
    for (const unsigned decoders : {1U, 3U}) {
        FakeKernelPages kernel;
        kernel.set_unknown(files_[4], true);
        prefetch::PageCache pages(kernel);
        prefetch::RecordedPrefetch recorded(*image_, items_, pages, prefetch::Target::page_cache);
        recorded.end_walk();
        recorded.start(decoders, allowed_processors());
        recorded.wait_until_idle();
        for (int i = 0; i < kFiles; ++i)
            EXPECT_EQ(kernel.content(files_[static_cast<std::size_t>(i)], content_of(i).size()),
                      i == 4 ? "" : content_of(i))
                << i;
    }
}

TEST_F(RecordedPrefetchTest, WithoutStoresBlocksWaitInTheCacheOfTheImage) {
    prefetch::RecordedPrefetch recorded(*image_, items_, pages_, prefetch::Target::block_cache);
    recorded.start(2, allowed_processors());
    recorded.wait_until_idle();
    EXPECT_EQ(pages_.stored_bytes(), 0U);
    for (const prefetch::FileId file : files_) EXPECT_FALSE(kernel_.has(file, 0));
    const auto decoded = image_->counters().blocks.misses;
    EXPECT_GT(decoded, 0U);
    for (int i = 0; i < kFiles; ++i)
        EXPECT_EQ(read_file(*image_, name_of(i)).value(), content_of(i));
    EXPECT_EQ(image_->counters().blocks.misses, decoded) << "a reader decodes nothing again";
}

TEST_F(RecordedPrefetchTest, WithoutMemoryNothingIsStoredAndItEnds) {
    kernel_.run_out_of_memory();
    prefetch::RecordedPrefetch recorded(*image_, items_, pages_, prefetch::Target::page_cache);
    recorded.end_walk();
    recorded.start(2, allowed_processors());
    recorded.wait_until_idle();
    EXPECT_FALSE(kernel_.has(files_[0], 0));
}

TEST_F(RecordedPrefetchTest, ThePlanSaysWhenItHasNoMoreToTell) {
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built_, faults).value();
    for (int round = 0; round < 20; ++round) {
        prefetch::RecordedPrefetch recorded(*image, items_, pages_, prefetch::Target::page_cache);
        recorded.end_walk();
        recorded.start(2, allowed_processors());
        if (round % 2 == 1) recorded.suspend();
        recorded.wait_until_idle();
        EXPECT_EQ(faults->told, 0U) << "storage guesses again from here on";
    }
    EXPECT_GE(faults->announcements, 10U);
}

TEST_F(RecordedPrefetchTest, WaitsForTheKernelToHearOfAFile) {
    kernel_.set_unknown(files_[0], true);
    prefetch::RecordedPrefetch recorded(*image_, {items_[0]}, pages_, prefetch::Target::page_cache);
    recorded.start(1, allowed_processors());
    kernel_.wait_for_calls(1);
    kernel_.set_unknown(files_[0], false);
    recorded.note_nodes();
    recorded.wait_until_idle();
    // Unless the machine was busy for longer than a block waits.
    if (pages_.stored_bytes() != 0) {
        EXPECT_EQ(kernel_.content(files_[0], 100), content_of(0));
    }
}

TEST_F(RecordedPrefetchTest, HeldRequestsAreAnswered) {
    for (int round = 0; round < 20; ++round) {
        FakeKernelPages kernel;
        prefetch::PageCache pages(kernel);
        prefetch::RecordedPrefetch recorded(*image_, items_, pages, prefetch::Target::page_cache);
        std::atomic<int> asked{0};
        std::atomic<int> answered{0};
        recorded.start(2, allowed_processors());
        for (int i = 1; i < kFiles; i += 3) {
            const prefetch::FileRange range{files_[static_cast<std::size_t>(i)], 0, kBlock};
            if (recorded.on_read(range) && recorded.hold(range, [&] { ++answered; })) ++asked;
        }
        if (round % 2 == 0) recorded.wait_until_idle();
        recorded.stop();
        pages.held().stop();
        EXPECT_EQ(asked, answered);
    }
}

TEST_F(RecordedPrefetchTest, WithoutThreadsNothingIsHeld) {
    EXPECT_EXIT(run_without_threads([&] {
                    bool is_idle = false;
                    prefetch::RecordedPrefetch recorded(*image_, items_, pages_,
                                                        prefetch::Target::page_cache);
                    recorded.on_idle([&] { is_idle = true; });
                    recorded.start(2, allowed_processors());
                    recorded.wait_until_idle();
                    (void)recorded.on_read({files_[0], 0, kBlock});
                    return is_idle && !recorded.hold({files_[0], 0, kBlock}, [] {});
                }),
                ::testing::ExitedWithCode(0), "");
}

TEST_F(RecordedPrefetchTest, CanBeStoppedAtAnyTime) {
    for (int round = 0; round < 50; ++round) {
        prefetch::RecordedPrefetch recorded(*image_, items_, pages_, prefetch::Target::page_cache);
        recorded.start(2, allowed_processors());
        if (round % 5 == 0) kernel_.wait_for_calls(1);
    }
}

}  // namespace
}  // namespace squenv::test
