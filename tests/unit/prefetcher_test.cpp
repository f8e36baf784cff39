// SPDX-License-Identifier: MIT
#include "prefetch/prefetcher.h"

#include <gtest/gtest.h>

#include <optional>
#include <semaphore>
#include <vector>

#include "base/cpus.h"
#include "support/kernel_pages.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

using prefetch::Prefetcher;
using prefetch::WalkerCall;
using prefetch::WalkPhase;
using Detail = Prefetcher::Detail;

constexpr std::uint64_t kRequest = 128 << 10;
constexpr int kSmallFiles = 48;

std::string small_name(int index) {
    return "small" + std::to_string(100 + index);
}

/// Small files in several fragment blocks, and a large one.
class PrefetcherTest : public testing::Test {
  protected:
    PrefetcherTest() {
        ImageBuilder builder;
        for (int i = 0; i < kSmallFiles; ++i)
            builder.file(small_name(i), pattern(500, static_cast<std::uint32_t>(i + 1)));
        builder.file("zlarge", pattern(1 << 20, 99));
        built_ = builder.build();
        image_ = std::move(open_image(built_).value());
    }
    /// Without threads: what it does, it does at once.
    Prefetcher& make(bool has_walker, bool has_recording) {
        prefetch::PrefetchOptions options;
        options.has_walker = has_walker;
        if (has_recording) options.recorded.resize(1);
        options.call_walker = [this](WalkerCall call) { calls_.push_back(call); };
        return prefetcher_.emplace(*image_, kernel_, std::move(options));
    }
    std::optional<Detail> list(bool is_walker, bool is_first_page = true) {
        return prefetcher_->on_listing(is_walker, is_first_page, [this] { ++answered_; });
    }
    /// As the session treats a READ of a small file.
    void read_small(int index) {
        const image::Inode file = image_->resolve(small_name(index)).value();
        const prefetch::FileRange range{prefetch::file_id(file), 0, 4096};
        const prefetch::UnansweredReads::Entry entry(prefetcher_->unanswered_reads(), range);
        EXPECT_FALSE(prefetcher_->on_read(file, range, [] {}));
        const auto slices = image_->data().read(file, 0, 4096).value();
        const auto* fragment = prefetcher_->siblings_in(slices);
        if (fragment == nullptr) return;
        prefetcher_->before_reply(file, *fragment);
        prefetcher_->after_reply(file);
    }
    bool is_stored(int index) {
        const auto id = prefetch::file_id(image_->resolve(small_name(index)).value());
        return kernel_.content(id, 500) == built_.files.at(small_name(index));
    }

    BuiltImage built_;
    std::unique_ptr<image::Image> image_;
    FakeKernelPages kernel_;
    std::vector<WalkerCall> calls_;
    std::atomic<int> answered_{0};
    std::optional<Prefetcher> prefetcher_;
};

TEST_F(PrefetcherTest, AHeldListingIsAnsweredWhenTheWalkEnds) {
    make(true, false);
    EXPECT_FALSE(list(false)) << "it is taken over";
    EXPECT_EQ(answered_, 0);
    prefetcher_->on_walk(WalkPhase::over);
    EXPECT_EQ(answered_, 1);
    EXPECT_EQ(list(false), Detail::everything);
    EXPECT_EQ(answered_, 1);
}

TEST_F(PrefetcherTest, AHeldListingIsAnsweredAtItsLimit) {
    make(true, false).start(1, allowed_processors(), false);
    std::binary_semaphore is_answered{0};
    ASSERT_FALSE(prefetcher_->on_listing(false, true, [&] { is_answered.release(); }));
    EXPECT_TRUE(is_answered.try_acquire_for(std::chrono::seconds(20)));
}

TEST_F(PrefetcherTest, TheWalkerHurriesAheadOfAUserThatLists) {
    make(true, false);
    EXPECT_EQ(list(true), Detail::everything);
    (void)list(false);
    EXPECT_EQ(list(true), Detail::directories);
    prefetcher_->on_lookup(true);
    EXPECT_EQ(list(true), Detail::directories) << "find(1) looks directories up";
    prefetcher_->on_lookup(false);
    EXPECT_EQ(list(true), Detail::everything);
    prefetcher_->stop();
}

TEST_F(PrefetcherTest, WithoutAWalkerTheSeventeenthListingIsOfDirectories) {
    make(false, false);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(list(false), Detail::everything) << i;
    EXPECT_EQ(list(false), Detail::directories);
    prefetcher_->on_lookup(false);
    EXPECT_EQ(list(false), Detail::everything);
}

TEST_F(PrefetcherTest, AProgramThatOnlyListsEndsTheRecordedPlanAndCallsTheWalker) {
    make(true, true);
    EXPECT_EQ(list(false), Detail::everything);
    EXPECT_TRUE(calls_.empty()) << "the first listing may be of any program";
    EXPECT_EQ(list(false), Detail::everything);
    EXPECT_EQ(calls_, (std::vector{WalkerCall::after_pause, WalkerCall::now}));
    EXPECT_FALSE(list(false)) << "the walker is ahead of it now";
    EXPECT_EQ(calls_.size(), 2U);
    prefetcher_->stop();
}

TEST_F(PrefetcherTest, AStreamEndsTheRecordedPlan) {
    make(true, true);
    const image::Inode large = image_->resolve("zlarge").value();
    const auto read = [&](std::uint64_t offset) {
        (void)prefetcher_->on_read(large, {prefetch::file_id(large), offset, offset + kRequest},
                                   [] {});
    };
    for (std::uint64_t at = 0; at < 3 * kRequest; at += kRequest) read(at);
    EXPECT_TRUE(calls_.empty());
    read(3 * kRequest);
    EXPECT_EQ(calls_, std::vector{WalkerCall::after_pause});
    prefetcher_->stop();
}

TEST_F(PrefetcherTest, TheSmallFilesBesideOneThatIsReadAreStored) {
    make(false, false).start(1, allowed_processors(), true);
    read_small(0);
    EXPECT_FALSE(is_stored(0)) << "its pages are locked";
    for (int i = 1; i < 8; ++i) EXPECT_TRUE(is_stored(i)) << i;
    EXPECT_FALSE(is_stored(8)) << "it lies in the next fragment block";
}

TEST_F(PrefetcherTest, TheNextFragmentBlockIsStoredWhenFilesAreReadInOrder) {
    make(false, false).start(1, allowed_processors(), true);
    read_small(0);
    read_small(8);
    EXPECT_TRUE(is_stored(9));
    EXPECT_TRUE(is_stored(16)) << "the first one of the next block";
    EXPECT_TRUE(is_stored(17));
    EXPECT_FALSE(is_stored(24));
}

TEST_F(PrefetcherTest, AFragmentBlockThatWasStoredIsFollowedToo) {
    make(false, false).start(1, allowed_processors(), true);
    read_small(0);
    read_small(8);
    ASSERT_TRUE(is_stored(16));
    read_small(24);
    EXPECT_TRUE(is_stored(32));
}

TEST_F(PrefetcherTest, AThreadThatDecodesAheadReceivesNoRequests) {
    make(false, false).start(1, allowed_processors(), true);
    kernel_.set_receiving(true);
    read_small(0);
    EXPECT_TRUE(kernel_.is_receiving());
    EXPECT_NE(kernel_.guarded(), 0U);
    read_small(8);
    EXPECT_FALSE(kernel_.is_receiving());
    EXPECT_TRUE(is_stored(16));
}

TEST_F(PrefetcherTest, SiblingsAreNotStoredWhereAThreadMayNotWait) {
    make(false, false).start(1, allowed_processors(), false);
    read_small(0);
    EXPECT_EQ(prefetcher_->stored_bytes(), 0U);
}

TEST_F(PrefetcherTest, NothingIsStoredWhenPagesAreNotToBeStored) {
    prefetcher_.emplace(*image_, kernel_, prefetch::PrefetchOptions{.stores_pages = false});
    prefetcher_->start(1, allowed_processors(), true);
    read_small(0);
    const image::Inode large = image_->resolve("zlarge").value();
    for (std::uint64_t at = 0; at < (1 << 20); at += kRequest)
        EXPECT_FALSE(
            prefetcher_->on_read(large, {prefetch::file_id(large), at, at + kRequest}, [] {}));
    prefetcher_->stop();
    EXPECT_EQ(prefetcher_->stored_bytes(), 0U);
}

}  // namespace
}  // namespace squenv::test
