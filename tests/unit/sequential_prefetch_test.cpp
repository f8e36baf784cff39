// SPDX-License-Identifier: MIT
#include "prefetch/sequential_prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "base/cpus.h"
#include "support/kernel_pages.h"
#include "support/no_threads.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr std::size_t kBlock = 128 << 10;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kRequest = 128 << 10;
constexpr std::size_t kFile = 20 << 20;
constexpr std::size_t kLargestWindow = 16 << 20;

/// One large file and another, with nothing stored and no threads yet.
class SequentialPrefetchTest : public testing::Test {
  protected:
    SequentialPrefetchTest() {
        image_ = std::move(open_image(built_, faults_).value());
        large_ = image_->resolve("large").value();
        other_ = image_->resolve("other").value();
        stream_.emplace(*image_, pages_);
    }
    static const BuiltImage& built_once() {
        static const BuiltImage built = [] {
            ImageBuilder builder({.block_size = kBlock});
            builder.file("large", pattern(kFile + 1234, 1));
            builder.file("other", pattern(kFile, 2));
            return builder.build();
        }();
        return built;
    }
    void start() {
        pages_.held().start(allowed_processors());
        stream_->start(2, allowed_processors());
    }
    static prefetch::FileRange range_of(const image::Inode& file, std::uint64_t offset,
                                        std::size_t size = kRequest) {
        return {prefetch::file_id(file), offset, offset + size};
    }
    bool note(std::uint64_t offset) { return stream_->on_read(large_, range_of(large_, offset)); }
    std::string content_from(const image::Inode& file, std::uint64_t offset, std::size_t size) {
        return kernel_.content_from(prefetch::file_id(file), offset, size);
    }
    bool has(const image::Inode& file, std::uint64_t offset) {
        return kernel_.has(prefetch::file_id(file), offset);
    }
    /// A request as the session treats it, until it is answered; true when that was later.
    bool request(const image::Inode& file, std::uint64_t offset, std::size_t size = kRequest) {
        ++requests_;
        const auto range = range_of(file, offset, size);
        const prefetch::UnansweredReads::Entry entry(pages_.reads(), range);
        is_stream_ = stream_->on_read(file, range);
        if (!is_stream_) return false;
        std::binary_semaphore is_answered{0};
        if (!stream_->hold(range, [&] { is_answered.release(); })) return false;
        is_answered.acquire();
        return true;
    }
    /// Reads as the kernel does: what is not there is asked for. What was stored must be right.
    /// This reader does nothing with it and would be ahead of any decoder: it gives them time.
    void read_through(const image::Inode& file, const std::string& content) {
        for (std::size_t at = 0; at < content.size();) {
            if (is_stream_) wait_for_page(file, at);
            const std::string stored = content_from(file, at, content.size() - at);
            if (stored.empty()) {
                request(file, at, std::min(kRequest, content.size() - at));
                at += kRequest;
                continue;
            }
            ASSERT_EQ(content.compare(at, stored.size(), stored), 0) << at;
            at += stored.size();
        }
    }

    /// Some pages are left out on purpose.
    void wait_for_page(const image::Inode& file, std::uint64_t at) {
        for (int i = 0; i < 200 && !has(file, at); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    std::shared_ptr<Faults> faults_ = std::make_shared<Faults>();
    const BuiltImage& built_ = built_once();
    std::unique_ptr<image::Image> image_;
    image::Inode large_;
    image::Inode other_;
    FakeKernelPages kernel_;
    prefetch::PageCache pages_{kernel_};
    std::optional<prefetch::SequentialPrefetch> stream_;
    unsigned requests_ = 0;
    bool is_stream_ = false;
};

TEST_F(SequentialPrefetchTest, MostOfALargeFileTakesNoRequest) {
    start();
    read_through(large_, built_.files.at("large"));
    EXPECT_GT(pages_.stored_bytes(), kFile / 2);
    EXPECT_LT(requests_, kFile / kRequest / 2);
}

TEST_F(SequentialPrefetchTest, TwoFilesAtOnce) {
    start();
    for (std::size_t at = 0; at < kFile; at += kRequest)
        for (const auto* file : {&large_, &other_})
            if (!has(*file, at)) request(*file, at);
    for (const auto& [file, name] : {std::pair{&large_, "large"}, std::pair{&other_, "other"}}) {
        const std::string stored = content_from(*file, kFile / 2 + kPage, 3 * kPage);
        EXPECT_EQ(built_.files.at(name).compare(kFile / 2 + kPage, stored.size(), stored), 0);
    }
    EXPECT_GT(pages_.stored_bytes(), 0U);
}

TEST_F(SequentialPrefetchTest, NothingIsStoredForWhoJumps) {
    start();
    for (std::size_t i = 0; i < 200; ++i) EXPECT_FALSE(request(large_, i * 7919 % 150 * kRequest));
    EXPECT_EQ(pages_.stored_bytes(), 0U);
}

TEST_F(SequentialPrefetchTest, NothingIsStoredForABeginning) {
    start();
    for (std::size_t at = 0; at + kRequest < (512 << 10); at += kRequest) request(large_, at);
    EXPECT_EQ(pages_.stored_bytes(), 0U);
}

TEST_F(SequentialPrefetchTest, WhoStopsLeavesAWindow) {
    start();
    std::size_t at = 0;
    for (; at < (2 << 20); at += kRequest)
        if (!has(large_, at)) request(large_, at);
    stream_->stop();
    EXPECT_LE(pages_.stored_bytes(), kLargestWindow);
}

TEST_F(SequentialPrefetchTest, WhatAnUnansweredRequestIsAboutIsNotStored) {
    // No threads: nothing happens before the request is there.
    for (std::size_t at = 0; at <= (1 << 20); at += kRequest) (void)note(at);
    const std::uint64_t wanted = 2 << 20;
    ASSERT_TRUE(note((1 << 20) + kRequest));
    const auto range = range_of(large_, wanted, 3 * kPage);
    const prefetch::UnansweredReads::Entry entry(pages_.reads(), range);
    std::binary_semaphore is_answered{0};
    bool was_stored = false;
    ASSERT_TRUE(stream_->hold(range, [&] {
        was_stored = has(large_, wanted) || has(large_, wanted + 3 * kPage - 1);
        is_answered.release();
    }));
    start();
    is_answered.acquire();
    EXPECT_FALSE(was_stored);
    // What is behind it is stored, however long that takes.
    while (!has(large_, wanted + 3 * kPage))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(SequentialPrefetchTest, ARequestIsAnsweredWhenNobodyDecodes) {
    pages_.held().start(allowed_processors());
    stream_->start(0, allowed_processors());
    for (std::size_t at = 0; at < (1 << 20); at += kRequest) (void)note(at);
    EXPECT_TRUE(request(large_, 1 << 20));
    EXPECT_FALSE(request(large_, (1 << 20) + kRequest)) << "it takes too long here";
}

TEST_F(SequentialPrefetchTest, WithoutThreadsNothingIsHeld) {
    EXPECT_EXIT(run_without_threads([&] {
                    start();
                    for (std::size_t at = 0; at <= (1 << 20); at += kRequest) (void)note(at);
                    return !stream_->hold(range_of(large_, 1 << 20), [] {}) &&
                           !stream_->hold_until_quiet([] {});
                }),
                ::testing::ExitedWithCode(0), "");
}

TEST_F(SequentialPrefetchTest, WhatWaitsForQuietIsAnsweredThen) {
    EXPECT_FALSE(stream_->hold_until_quiet([] {})) << "it is quiet";
    start();
    for (std::size_t at = 0; at <= (1 << 20); at += kRequest) (void)note(at);
    std::binary_semaphore is_answered{0};
    bool is_held = false;
    for (int i = 0; i < 1000 && !is_held; ++i) {
        (void)note(1 << 20);  // long ago where this thread was not let run meanwhile
        is_held = stream_->hold_until_quiet([&] { is_answered.release(); });
    }
    ASSERT_TRUE(is_held);
    is_answered.acquire();
    EXPECT_FALSE(stream_->hold_until_quiet([] {}));
}

TEST_F(SequentialPrefetchTest, NobodyWaitsForQuietForEver) {
    start();
    std::atomic<bool> is_answered = false;
    bool is_held = false;
    for (std::size_t at = 0; !is_answered && at < (std::size_t{1} << 40); at += kRequest) {
        (void)note(at);  // behind the end, too: a reader all the same
        // Where this thread was not let run since the read, the next one counts.
        if (at >= (1 << 20) && !is_held)
            is_held = stream_->hold_until_quiet([&] { is_answered = true; });
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(is_answered);
}

TEST_F(SequentialPrefetchTest, EverythingIsAnsweredAtTheEnd) {
    for (int round = 0; round < 20; ++round) {
        FakeKernelPages kernel;
        prefetch::PageCache pages(kernel);
        pages.held().start(allowed_processors());
        prefetch::SequentialPrefetch stream(*image_, pages);
        std::atomic<int> asked{0};
        std::atomic<int> answered{0};
        stream.start(2, allowed_processors());
        for (std::size_t at = 0; at < (4 << 20); at += kRequest)
            if (stream.on_read(large_, range_of(large_, at)) &&
                stream.hold(range_of(large_, at), [&] { ++answered; }))
                ++asked;
        if (stream.hold_until_quiet([&] { ++answered; })) ++asked;
        stream.stop();
        EXPECT_EQ(asked, answered);
    }
}

TEST_F(SequentialPrefetchTest, ADamagedBlockEndsIt) {
    faults_->end = built_.get("inode:large.start") + 20 * kBlock;  // stored as it is
    start();
    for (std::size_t at = 0; at < (8 << 20); at += kRequest)
        if (!has(large_, at)) request(large_, at);
    stream_->stop();
    EXPECT_LT(pages_.stored_bytes(), 20 * kBlock);
}

TEST_F(SequentialPrefetchTest, ANodeTheKernelDoesNotKnowEndsIt) {
    kernel_.set_unknown(prefetch::file_id(large_), true);
    start();
    for (std::size_t at = 0; at < (8 << 20); at += kRequest) request(large_, at);
    EXPECT_EQ(pages_.stored_bytes(), 0U);
}

}  // namespace
}  // namespace squenv::test
