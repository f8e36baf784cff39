// SPDX-License-Identifier: MIT
#include "fuse/stream_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "base/cpus.h"
#include "support/no_threads.h"
#include "support/page_cache.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

constexpr std::size_t kBlock = 128 << 10;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kRequest = 128 << 10;
constexpr std::size_t kFile = 20 << 20;
constexpr std::size_t kLargestWindow = 16 << 20;

/// One large file and another, with nothing stored and no threads yet.
class StreamAheadTest : public testing::Test {
  protected:
    StreamAheadTest() {
        ImageBuilder builder({.block_size = kBlock});
        builder.file("large", pattern(kFile + 1234, 1));
        builder.file("other", pattern(kFile, 2));
        built_ = builder.build();
        image_ = std::move(open_image(built_, faults_).value());
        files_.emplace(fuse::FileSystem::create(*image_, {}).value());
        large_ = files_->lookup(fuse::kRootNode, "large").value().value().id;
        other_ = files_->lookup(fuse::kRootNode, "other").value().value().id;
        stream_.emplace(*files_, pages_.store(), held_, reads_);
    }
    void start() {
        held_.start(allowed_processors());
        stream_->start(2, allowed_processors());
    }
    /// A request as the session treats it, until it is answered; true when that was later.
    bool request(fuse::NodeId node, std::uint64_t offset, std::size_t size = kRequest) {
        ++requests_;
        const fuse::UnansweredReads::Entry entry(reads_, {node, offset, offset + size});
        is_stream_ = stream_->note_read(node, offset, size);
        if (!is_stream_) return false;
        std::binary_semaphore is_answered{0};
        if (!stream_->hold_read({node, offset, offset + size}, [&] { is_answered.release(); })) return false;
        is_answered.acquire();
        return true;
    }
    /// Reads as the kernel does: what is not there is asked for. What was stored must be right.
    /// This reader does nothing with it and would be ahead of any decoder: it gives them time.
    void read_through(fuse::NodeId node, const std::string& content) {
        for (std::size_t at = 0; at < content.size();) {
            if (is_stream_) wait_for_page(node, at);
            const std::string stored = pages_.content_from(node, at, content.size() - at);
            if (stored.empty()) {
                request(node, at, std::min(kRequest, content.size() - at));
                at += kRequest;
                continue;
            }
            ASSERT_EQ(content.compare(at, stored.size(), stored), 0) << at;
            at += stored.size();
        }
    }

    /// Some pages are left out on purpose.
    void wait_for_page(fuse::NodeId node, std::uint64_t at) {
        for (int i = 0; i < 200 && !pages_.has(node, at); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    std::shared_ptr<Faults> faults_ = std::make_shared<Faults>();
    BuiltImage built_;
    std::unique_ptr<image::Image> image_;
    std::optional<fuse::FileSystem> files_;
    fuse::NodeId large_ = 0;
    fuse::NodeId other_ = 0;
    PageCache pages_;
    fuse::HeldRequests held_;
    fuse::UnansweredReads reads_;
    std::optional<fuse::StreamAhead> stream_;
    unsigned requests_ = 0;
    bool is_stream_ = false;
};

TEST_F(StreamAheadTest, MostOfALargeFileTakesNoRequest) {
    start();
    read_through(large_, built_.files.at("large"));
    EXPECT_GT(stream_->stored_bytes(), kFile / 2);
    EXPECT_LT(requests_, kFile / kRequest / 2);
}

TEST_F(StreamAheadTest, TwoFilesAtOnce) {
    start();
    for (std::size_t at = 0; at < kFile; at += kRequest)
        for (const auto node : {large_, other_})
            if (!pages_.has(node, at)) request(node, at);
    for (const auto& [node, name] : {std::pair{large_, "large"}, std::pair{other_, "other"}}) {
        const std::string stored = pages_.content_from(node, kFile / 2 + kPage, 3 * kPage);
        EXPECT_EQ(built_.files.at(name).compare(kFile / 2 + kPage, stored.size(), stored), 0);
    }
    EXPECT_GT(stream_->stored_bytes(), 0U);
}

TEST_F(StreamAheadTest, NothingIsStoredForWhoJumps) {
    start();
    for (std::size_t i = 0; i < 200; ++i) EXPECT_FALSE(request(large_, i * 7919 % 150 * kRequest));
    EXPECT_EQ(stream_->stored_bytes(), 0U);
}

TEST_F(StreamAheadTest, NothingIsStoredForABeginning) {
    start();
    for (std::size_t at = 0; at + kRequest < (512 << 10); at += kRequest) request(large_, at);
    EXPECT_EQ(stream_->stored_bytes(), 0U);
}

TEST_F(StreamAheadTest, WhoStopsLeavesAWindow) {
    start();
    std::size_t at = 0;
    for (; at < (2 << 20); at += kRequest)
        if (!pages_.has(large_, at)) request(large_, at);
    stream_->stop();
    EXPECT_LE(stream_->stored_bytes(), kLargestWindow);
}

TEST_F(StreamAheadTest, WhatAnUnansweredRequestIsAboutIsNotStored) {
    // No threads: nothing happens before the request is there.
    for (std::size_t at = 0; at <= (1 << 20); at += kRequest)
        (void)stream_->note_read(large_, at, kRequest);
    const std::uint64_t wanted = 2 << 20;
    ASSERT_TRUE(stream_->note_read(large_, (1 << 20) + kRequest, kRequest));
    std::optional<fuse::UnansweredReads::Entry> entry;
    entry.emplace(reads_, fuse::FileRange{large_, wanted, wanted + 3 * kPage});
    std::binary_semaphore is_answered{0};
    bool was_stored = false;
    ASSERT_TRUE(stream_->hold_read({large_, wanted, wanted + 3 * kPage}, [&] {
        was_stored = pages_.has(large_, wanted) || pages_.has(large_, wanted + 3 * kPage - 1);
        is_answered.release();
    }));
    start();
    is_answered.acquire();
    EXPECT_FALSE(was_stored);
    // What is behind it is stored, however long that takes.
    while (!pages_.has(large_, wanted + 3 * kPage))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(StreamAheadTest, ARequestIsAnsweredWhenNobodyDecodes) {
    held_.start(allowed_processors());
    stream_->start(0, allowed_processors());
    for (std::size_t at = 0; at < (1 << 20); at += kRequest)
        (void)stream_->note_read(large_, at, kRequest);
    EXPECT_TRUE(request(large_, 1 << 20));
    EXPECT_FALSE(request(large_, (1 << 20) + kRequest)) << "it takes too long here";
}

TEST_F(StreamAheadTest, WithoutThreadsNothingIsHeld) {
    EXPECT_EXIT(run_without_threads([&] {
                    start();
                    for (std::size_t at = 0; at <= (1 << 20); at += kRequest)
                        (void)stream_->note_read(large_, at, kRequest);
                    return !stream_->hold_read({large_, 1 << 20, (1 << 20) + kRequest}, [] {}) &&
                           !stream_->hold_until_quiet([] {});
                }),
                ::testing::ExitedWithCode(0), "");
}

TEST_F(StreamAheadTest, WhatWaitsForQuietIsAnsweredThen) {
    EXPECT_FALSE(stream_->hold_until_quiet([] {})) << "it is quiet";
    start();
    for (std::size_t at = 0; at <= (1 << 20); at += kRequest)
        (void)stream_->note_read(large_, at, kRequest);
    std::binary_semaphore is_answered{0};
    ASSERT_TRUE(stream_->hold_until_quiet([&] { is_answered.release(); }));
    is_answered.acquire();
    EXPECT_FALSE(stream_->hold_until_quiet([] {}));
}

TEST_F(StreamAheadTest, NobodyWaitsForQuietForEver) {
    start();
    std::atomic<bool> is_answered = false;
    for (std::size_t at = 0; !is_answered && at < (std::size_t{1} << 40); at += kRequest) {
        (void)stream_->note_read(large_, at, kRequest);  // behind the end, too: a reader all the same
        if (at == (1 << 20)) {
            ASSERT_TRUE(stream_->hold_until_quiet([&] { is_answered = true; }));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(is_answered);
}

TEST_F(StreamAheadTest, EverythingIsAnsweredAtTheEnd) {
    for (int round = 0; round < 20; ++round) {
        PageCache pages;
        fuse::HeldRequests held;
        held.start(allowed_processors());
        fuse::StreamAhead stream(*files_, pages.store(), held, reads_);
        std::atomic<int> asked{0};
        std::atomic<int> answered{0};
        stream.start(2, allowed_processors());
        for (std::size_t at = 0; at < (4 << 20); at += kRequest)
            if (stream.note_read(large_, at, kRequest) &&
                stream.hold_read({large_, at, at + kRequest}, [&] { ++answered; }))
                ++asked;
        if (stream.hold_until_quiet([&] { ++answered; })) ++asked;
        stream.stop();
        EXPECT_EQ(asked, answered);
    }
}

TEST_F(StreamAheadTest, ADamagedBlockEndsIt) {
    faults_->end = built_.get("inode:large.start") + 20 * kBlock;  // stored as it is
    start();
    for (std::size_t at = 0; at < (8 << 20); at += kRequest)
        if (!pages_.has(large_, at)) request(large_, at);
    stream_->stop();
    EXPECT_LT(stream_->stored_bytes(), 20 * kBlock);
}

TEST_F(StreamAheadTest, ANodeTheKernelDoesNotKnowEndsIt) {
    pages_.set_unknown(large_, true);
    start();
    for (std::size_t at = 0; at < (8 << 20); at += kRequest) request(large_, at);
    EXPECT_EQ(stream_->stored_bytes(), 0U);
}

}  // namespace
}  // namespace squenv::test
