// SPDX-License-Identifier: MIT
#include "prefetch/page_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "support/kernel_pages.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr prefetch::FileId kFile = 77;
constexpr std::size_t kPage = 4096;

class PageCacheTest : public testing::Test {
  protected:
    const std::string content_ = pattern(300 << 10, 1);
    FakeKernelPages kernel_;
    prefetch::PageCache pages_{kernel_};

    [[nodiscard]] bool store(std::uint64_t begin, std::uint64_t end) {
        return pages_.store({kFile, begin, end}, as_bytes(content_).subspan(begin, end - begin));
    }
};

TEST_F(PageCacheTest, ALargeRangeIsStoredInStepsOf64KiB) {
    EXPECT_TRUE(store(0, content_.size()));
    EXPECT_EQ(kernel_.content(kFile, content_.size()), content_);
    EXPECT_EQ(kernel_.largest(), std::size_t{64} << 10);
    EXPECT_EQ(kernel_.last_offset(), 0U) << "where a program would come first is stored last";
    EXPECT_EQ(pages_.stored_bytes(), content_.size());
}

TEST_F(PageCacheTest, WhatAnUnansweredReadIsAboutIsLeftOut) {
    const prefetch::UnansweredReads::Entry entry(pages_.reads(), {kFile, 10 * kPage, 12 * kPage});
    EXPECT_TRUE(store(0, 20 * kPage));
    EXPECT_EQ(kernel_.content_from(kFile, 0, 20 * kPage), content_.substr(0, 10 * kPage));
    EXPECT_FALSE(kernel_.has(kFile, 12 * kPage - 1));
    EXPECT_EQ(kernel_.content_from(kFile, 12 * kPage, 8 * kPage),
              content_.substr(12 * kPage, 8 * kPage));
    EXPECT_EQ(pages_.stored_bytes(), 18 * kPage);
}

TEST_F(PageCacheTest, NothingIsStoredWhileRequestsWait) {
    kernel_.set_waiting(true);
    EXPECT_TRUE(store(0, 4 * kPage)) << "the kernel refused nothing";
    EXPECT_FALSE(pages_.store_file(kFile, as_bytes(content_).first(100)));
    kernel_.set_receiving(true);
    EXPECT_FALSE(pages_.store_file(kFile, as_bytes(content_).first(100)));
    EXPECT_EQ(pages_.stored_bytes(), 0U);
    kernel_.set_waiting(false);
    EXPECT_TRUE(pages_.store_file(kFile, as_bytes(content_).first(100)));
}

TEST_F(PageCacheTest, AThreadThatReceivesRequestsStoresWithARelief) {
    EXPECT_TRUE(pages_.store_file(kFile, as_bytes(content_).first(100)));
    EXPECT_EQ(kernel_.guarded(), 0U);
    kernel_.set_receiving(true);
    EXPECT_TRUE(pages_.store_file(kFile, as_bytes(content_).first(100)));
    EXPECT_EQ(kernel_.guarded(), 1U);
}

TEST_F(PageCacheTest, AFileThatIsBeingReadIsNotStored) {
    const prefetch::UnansweredReads::Entry entry(pages_.reads(), {kFile, 0, kPage});
    EXPECT_TRUE(pages_.store_file(kFile, as_bytes(content_).first(100)));
    EXPECT_TRUE(pages_.store_file(kFile + 1, as_bytes(content_).first(100)));
    EXPECT_FALSE(kernel_.has(kFile, 0));
    EXPECT_TRUE(kernel_.has(kFile + 1, 0));
}

TEST_F(PageCacheTest, ARefusalEndsIt) {
    kernel_.set_unknown(kFile, true);
    EXPECT_FALSE(store(0, content_.size()));
    EXPECT_FALSE(pages_.store_file(kFile, as_bytes(content_).first(100)));
    EXPECT_EQ(pages_.stored_bytes(), 0U);
}

}  // namespace
}  // namespace squenv::test
