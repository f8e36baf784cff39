// SPDX-License-Identifier: MIT
#include "fuse/request_journal.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/shared_object.h"
#include "base/unique_fd.h"

namespace squenv::test {
namespace {

using fuse::RequestJournal;

/// Requests come through a socket instead of /dev/fuse.
class RequestJournalTest : public testing::Test {
  protected:
    RequestJournalTest() {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
        kernel_ = UniqueFd(ends[0]);
        device_ = UniqueFd(ends[1]);
        journal_->attach(1);
    }
    void send(std::uint64_t unique, std::uint32_t opcode = FUSE_READ, std::size_t more = 40) {
        std::vector<std::byte> bytes(sizeof(fuse_in_header) + more);
        fuse_in_header header{};
        header.len = static_cast<std::uint32_t>(bytes.size());
        header.opcode = opcode;
        header.unique = unique;
        std::memcpy(bytes.data(), &header, sizeof header);
        ASSERT_EQ(::send(kernel_.get(), bytes.data(), bytes.size(), 0),
                  static_cast<ssize_t>(bytes.size()));
    }
    RequestJournal::Slot& receive(std::uint64_t unique) {
        send(unique);
        auto& slot = journal_->take();
        EXPECT_GT(journal_->receive(device_.get(), slot, overflow_), 0);
        return slot;
    }
    std::vector<std::uint64_t> adopt(bool are_gone = true) {
        std::vector<std::uint64_t> uniques;
        for (const auto* slot : journal_->adopt(are_gone)) uniques.push_back(slot->header().unique);
        return uniques;
    }
    using Uniques = std::vector<std::uint64_t>;

    SharedObject<RequestJournal> journal_ = std::move(make_shared_object<RequestJournal>().value());
    std::vector<std::byte> overflow_ = std::vector<std::byte>(RequestJournal::kOverflowBytes);
    UniqueFd kernel_;
    UniqueFd device_;
};

TEST_F(RequestJournalTest, WhatIsNotAnsweredIsLeft) {
    receive(10);
    receive(11);
    receive(12);
    journal_->on_answer(11);
    EXPECT_EQ(adopt(), Uniques());  // its own
    journal_->attach(2);
    EXPECT_EQ(adopt(), (Uniques{10, 12}));
    journal_->on_answer(10);
    journal_->attach(3);
    EXPECT_EQ(adopt(), Uniques{12});
    EXPECT_EQ(journal_->answers(), 2U);
}

TEST_F(RequestJournalTest, ASlotWithoutARequestIsFree) {
    for (std::size_t i = 0; i < 3 * RequestJournal::kSlots; ++i) {
        auto& slot = journal_->take();
        EXPECT_EQ(journal_->receive(device_.get(), slot, overflow_), -1);
        EXPECT_EQ(errno, EAGAIN);
    }
    journal_->attach(2);
    EXPECT_TRUE(adopt().empty());
}

TEST_F(RequestJournalTest, AReceiptUnderWayIsLeftUntilItsThreadIsGone) {
    (void)journal_->take();  // and its server dies before it receives
    receive(10);
    journal_->attach(2);
    EXPECT_EQ(adopt(false), Uniques{10});
    EXPECT_EQ(adopt(true), Uniques());
    // All slots but that of request 10 can be had.
    for (std::size_t i = 1; i < RequestJournal::kSlots; ++i) (void)journal_->take();
}

TEST_F(RequestJournalTest, OfALargeRequestTheBeginIsKept) {
    send(10, FUSE_IOCTL, 10'000);
    auto& slot = journal_->take();
    EXPECT_EQ(journal_->receive(device_.get(), slot, overflow_),
              static_cast<ssize_t>(sizeof(fuse_in_header) + 10'000));
    EXPECT_EQ(slot.request().size(), RequestJournal::kSlotBytes);
    EXPECT_EQ(slot.header().opcode, static_cast<std::uint32_t>(FUSE_IOCTL));
}

TEST_F(RequestJournalTest, TheNameOfALookupEnds) {
    std::vector<std::byte> bytes(sizeof(fuse_in_header));
    fuse_in_header header{};
    header.unique = 10;
    header.opcode = FUSE_LOOKUP;
    header.len = sizeof header + 5;
    std::memcpy(bytes.data(), &header, sizeof header);
    for (const char letter : {'n', 'a', 'm', 'e', '\0'})
        bytes.push_back(static_cast<std::byte>(letter));
    ASSERT_GT(::send(kernel_.get(), bytes.data(), bytes.size(), 0), 0);
    auto& slot = journal_->take();
    ASSERT_GT(journal_->receive(device_.get(), slot, overflow_), 0);
    EXPECT_EQ(slot.name(), "name");
}

TEST_F(RequestJournalTest, ARequestThatServersCrashOfIsGivenUp) {
    receive(10);  // held: no server worked on it
    auto* bad = &receive(11);
    for (std::uint32_t server = 1; server <= RequestJournal::kMaxCrashes; ++server) {
        {
            const RequestJournal::Work work(bad);
            EXPECT_FALSE(bad->is_given_up());
            journal_->count_crash(journal_->count_kill(server));
        }
        journal_->attach(server + 1);
        const auto left = journal_->adopt(true);
        ASSERT_EQ(left.size(), 2U);
        // What is worked on first is not what killed the one before.
        EXPECT_EQ(left[0]->header().unique, 10U);
        EXPECT_FALSE(left[0]->is_given_up());
        bad = left[1];
    }
    EXPECT_TRUE(bad->is_given_up());
}

TEST_F(RequestJournalTest, KillsByChanceCountLess) {
    auto& slot = receive(10);
    for (std::uint32_t kill = 1; kill <= RequestJournal::kMaxKills; ++kill) {
        EXPECT_FALSE(slot.is_given_up());
        const RequestJournal::Work work(&slot);
        EXPECT_EQ(journal_->count_kill(1), Uniques{10});
    }
    EXPECT_TRUE(slot.is_given_up());
}

TEST_F(RequestJournalTest, OnlyWorkCounts) {
    auto& slot = receive(10);
    EXPECT_TRUE(journal_->count_kill(1).empty());
    {
        const RequestJournal::Work work(&slot);
        EXPECT_EQ(RequestJournal::current(), &slot);
        EXPECT_TRUE(journal_->count_kill(2).empty());  // another server
        journal_->on_answer(10);
        EXPECT_EQ(RequestJournal::current(), nullptr);
    }
    // A new request in the same slot has a new count.
    auto& again = receive(11);
    EXPECT_FALSE(again.is_given_up());
}

TEST_F(RequestJournalTest, InitIsKeptOnceItIsAnswered) {
    const ByteVector request(104, std::byte{1});
    const ByteVector answer(64, std::byte{2});
    journal_->save_init(request);
    EXPECT_TRUE(journal_->init_request().empty());
    journal_->save_init_answer(answer);
    EXPECT_EQ(journal_->init_request().size(), 104U);
    EXPECT_EQ(ByteVector(journal_->init_answer().begin(), journal_->init_answer().end()), answer);
}

}  // namespace
}  // namespace squenv::test
