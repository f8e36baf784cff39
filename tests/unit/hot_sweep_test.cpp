// SPDX-License-Identifier: MIT
#include "fuse/hot_sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/cpus.h"
#include "support/no_threads.h"
#include "support/page_cache.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr int kFiles = 40;

std::string name_of(int index) {
    return "file" + std::to_string(100 + index);
}

class HotSweepTest : public testing::Test {
  protected:
    HotSweepTest() {
        ImageBuilder builder;
        for (int i = 0; i < kFiles; ++i)
            builder.file(name_of(i),
                         pattern(i % 3 == 0 ? 100 : 5 * kBlock + 10, static_cast<unsigned>(i + 1)));
        built_ = builder.build();
        image_ = std::move(open_image(built_).value());
        files_.emplace(fuse::FileSystem::create(*image_, {}).value());
        for (int i = 0; i < kFiles; ++i) {
            const auto node = files_->lookup(fuse::kRootNode, name_of(i)).value().value();
            nodes_.push_back(node.id);
            appendix::HotItem item;
            item.reference = node.id;
            item.size_bytes = static_cast<std::uint64_t>(node.attributes.st_size);
            items_.push_back(item);
        }
    }
    const std::string& content_of(int index) { return built_.files.at(name_of(index)); }

    BuiltImage built_;
    std::unique_ptr<image::Image> image_;
    std::optional<fuse::FileSystem> files_;
    std::vector<fuse::NodeId> nodes_;
    std::vector<appendix::HotItem> items_;
    PageCache pages_;
    fuse::HeldRequests held_;
    fuse::UnansweredReads reads_;
    const std::atomic<bool> never_{false};
};

TEST_F(HotSweepTest, PlansEveryByteOnce) {
    items_.push_back(items_.front());
    const fuse::HotPlan plan(*files_, items_, ~std::uint64_t{0}, never_);
    std::uint64_t before = 0;
    for (const auto& block : plan.blocks()) {
        EXPECT_EQ(block.bytes_before, before);
        for (const auto& part : block.parts) before += part.size_bytes;
    }
    EXPECT_EQ(plan.find(nodes_[1], 0), plan.find(nodes_[1], 10));
    EXPECT_LT(*plan.find(nodes_[1], 0), *plan.find(nodes_[1], 2 * kBlock));
    EXPECT_FALSE(plan.find(12345678, 0));
}

TEST_F(HotSweepTest, RangesAreRoundedToPagesAndCutAtTheEnd) {
    appendix::HotItem item = items_[1];
    item.offset = kBlock + 100;
    item.size_bytes = 10;
    appendix::HotItem behind = items_[2];
    behind.offset = 1 << 20;
    appendix::HotItem wrong = items_[1];
    wrong.reference = (std::uint64_t{1} << 40) + 77;
    const fuse::HotPlan plan(*files_, {item, behind, wrong}, ~std::uint64_t{0}, never_);
    ASSERT_EQ(plan.blocks().size(), 1U);
    ASSERT_EQ(plan.blocks()[0].parts.size(), 1U);
    EXPECT_EQ(plan.blocks()[0].parts[0].file_offset, kBlock);
    EXPECT_EQ(plan.blocks()[0].parts[0].size_bytes, kBlock);
}

TEST_F(HotSweepTest, NoMoreThanAllowedIsPlanned) {
    const fuse::HotPlan plan(*files_, items_, 3 * kBlock, never_);
    EXPECT_LE(plan.size_bytes(), 3 * kBlock);
}

TEST_F(HotSweepTest, AListThatGoesOnForEverIsLeft) {
    std::vector<appendix::HotItem> items(1 << 20, items_[1]);
    const std::atomic<bool> now{true};
    EXPECT_TRUE(fuse::HotPlan(*files_, items, ~std::uint64_t{0}, now).blocks().empty());
    EXPECT_LE(fuse::HotPlan(*files_, items, 1 << 20, never_).blocks().size(), 6U);
}

TEST_F(HotSweepTest, ThePartsOfABlockAreTogether) {
    // Every file twice, in an order in which those that share a block are far from each other.
    std::vector<appendix::HotItem> items(items_.rbegin(), items_.rend());
    items.insert(items.end(), items_.begin(), items_.end());
    const fuse::HotPlan plan(*files_, items, ~std::uint64_t{0}, never_);
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
    EXPECT_EQ(plan.blocks().front().parts.front().node, nodes_.back());
    for (int i = 0; i < kFiles; ++i) {
        const auto node = nodes_[static_cast<std::size_t>(i)];
        for (std::uint64_t at = 0; at < content_of(i).size(); at += kBlock) {
            const auto index = plan.find(node, at + 1);
            ASSERT_TRUE(index) << i;
            const auto& found = plan.blocks()[*index].parts;
            EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const auto& part) {
                return part.node == node && part.file_offset == at;
            })) << i << ' ' << at;
        }
    }
}

TEST_F(HotSweepTest, NoListMakesThePlanLargerThanItsBound) {
    // Six blocks an item, of as many items as a list can have.
    const std::vector<appendix::HotItem> items(appendix::kMaxHotItems, items_[1]);
    const fuse::HotPlan plan(*files_, items, ~std::uint64_t{0}, never_);
    std::size_t parts = 0;
    for (const auto& block : plan.blocks()) parts += block.parts.size();
    EXPECT_GT(parts, 0U);
    EXPECT_LE(parts, fuse::HotPlan::kMaxParts);
    EXPECT_LE(plan.blocks().size(), 6U);
}

TEST_F(HotSweepTest, StoresEverythingThatIsKnown) {
    for (const unsigned decoders : {1U, 3U}) {
        PageCache pages;
        pages.set_unknown(nodes_[4], true);
        fuse::HeldRequests held;
        fuse::HotSweep sweep(*files_, items_, pages.store(), held, reads_);
        sweep.end_listing();
        sweep.start(decoders, allowed_processors());
        sweep.wait_until_done();
        for (int i = 0; i < kFiles; ++i)
            EXPECT_EQ(pages.content(nodes_[static_cast<std::size_t>(i)], content_of(i).size()),
                      i == 4 ? "" : content_of(i))
                << i;
    }
}

TEST_F(HotSweepTest, WaitsForTheKernelToHearOfANode) {
    pages_.set_unknown(nodes_[0], true);
    fuse::HotSweep sweep(*files_, {items_[0]}, pages_.store(), held_, reads_);
    sweep.start(1, allowed_processors());
    pages_.wait_for_calls(1);
    pages_.set_unknown(nodes_[0], false);
    sweep.note_listing();
    sweep.wait_until_done();
    // Unless the machine was busy for longer than the sweep is patient.
    if (sweep.stored_bytes() != 0) {
        EXPECT_EQ(pages_.content(nodes_[0], 100), content_of(0));
    }
}

TEST_F(HotSweepTest, HeldRequestsAreAnswered) {
    for (int round = 0; round < 20; ++round) {
        PageCache pages;
        fuse::HeldRequests held;
        fuse::HotSweep sweep(*files_, items_, pages.store(), held, reads_);
        std::atomic<int> asked{0};
        std::atomic<int> answered{0};
        sweep.start(2, allowed_processors());
        for (int i = 1; i < kFiles; i += 3) {
            const auto node = nodes_[static_cast<std::size_t>(i)];
            if (sweep.note_read(node, 0) &&
                sweep.hold_read({node, 0, kBlock}, [&] { ++answered; }))
                ++asked;
        }
        if (round % 2 == 0) sweep.wait_until_done();
        sweep.stop();
        held.stop();
        EXPECT_EQ(asked, answered);
    }
}

TEST_F(HotSweepTest, WithoutThreadsNothingIsHeld) {
    EXPECT_EXIT(run_without_threads([&] {
                    bool is_quiet = false;
                    fuse::HotSweep sweep(*files_, items_, pages_.store(), held_, reads_);
                    sweep.on_quiet([&] { is_quiet = true; });
                    sweep.start(2, allowed_processors());
                    sweep.wait_until_done();
                    (void)sweep.note_read(nodes_[0], 0);
                    return is_quiet && !sweep.hold_read({nodes_[0], 0, kBlock}, [] {});
                }),
                ::testing::ExitedWithCode(0), "");
}

TEST_F(HotSweepTest, CanBeStoppedAtAnyTime) {
    for (int round = 0; round < 50; ++round) {
        fuse::HotSweep sweep(*files_, items_, pages_.store(), held_, reads_);
        sweep.start(2, allowed_processors());
        if (round % 5 == 0) pages_.wait_for_calls(1);
    }
}

}  // namespace
}  // namespace squenv::test
