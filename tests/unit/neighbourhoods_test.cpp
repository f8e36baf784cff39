// SPDX-License-Identifier: MIT
#include "image/neighbourhoods.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "base/checked.h"

namespace squenv::image {
namespace {

constexpr std::uint64_t kMiB = Neighbourhoods::kSize;

/// Storage whose byte at a position is known, with bad places. Thread-safe.
class Storage {
  public:
    explicit Storage(std::uint64_t size) : size_(size) {}

    static std::byte byte_at(std::uint64_t position) {
        return static_cast<std::byte>((position >> 8U) * 37U);
    }
    Status read(std::uint64_t position, MutableBytes out) {
        const std::lock_guard lock(mutex_);
        asked_.insert({position, out.size()});
        are_aligned_ = are_aligned_ && reinterpret_cast<std::uintptr_t>(out.data()) % 4096 == 0;
        ++count_;
        if (!fits(position, out.size(), size_)) return fail(Errc::io, "the file ends before");
        if (position <= bad_ && bad_ < position + out.size()) return fail(Errc::io, "a bad place");
        for (std::size_t i = 0; i < out.size();) {
            const std::size_t run = std::min(out.size() - i, 256 - (position + i) % 256);
            std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(i), run, byte_at(position + i));
            i += run;
        }
        return {};
    }
    Neighbourhoods::Read reader() {
        return [this](std::uint64_t position, MutableBytes out) { return read(position, out); };
    }
    std::size_t count() {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    bool was_asked(std::uint64_t position, std::uint64_t size) {
        const std::lock_guard lock(mutex_);
        return asked_.contains({position, size});
    }
    /// Whether the memory of all reads began at a page.
    bool was_read_into_pages() {
        const std::lock_guard lock(mutex_);
        return are_aligned_;
    }
    void damage(std::uint64_t position) {
        const std::lock_guard lock(mutex_);
        bad_ = position;
    }

  private:
    const std::uint64_t size_;
    std::mutex mutex_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> asked_;
    std::size_t count_ = 0;
    bool are_aligned_ = true;
    std::uint64_t bad_ = ~std::uint64_t{0};
};

void expect_right(Neighbourhoods& all, std::uint64_t position, std::size_t size) {
    ByteVector bytes(size);
    ASSERT_TRUE(all.read(position, bytes)) << position;
    for (std::size_t i = 0; i < size; i += 97)
        ASSERT_EQ(bytes[i], Storage::byte_at(position + i)) << position + i;
}

void start(Neighbourhoods& all) {
    cpu_set_t processors;
    CPU_ZERO(&processors);
    ASSERT_EQ(::sched_getaffinity(0, sizeof processors, &processors), 0);
    all.start_readers(processors);
}

/// Whether `is_so` within ten seconds.
bool comes_true(const std::function<bool()>& is_so) {
    for (int i = 0; i < 10000 && !is_so(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return is_so();
}

TEST(Neighbourhoods, TheEndIsOneRead) {
    Storage storage(10 * kMiB + 5000);
    Neighbourhoods all(storage.reader(), 10 * kMiB + 5000);
    expect_right(all, 10 * kMiB + 4000, 1000);
    expect_right(all, 10 * kMiB - 3000, 4000);
    expect_right(all, 9 * kMiB + 5000, 10);
    EXPECT_EQ(storage.count(), 1U);
    EXPECT_TRUE(storage.was_asked(9 * kMiB + 5000, kMiB));
}

TEST(Neighbourhoods, TheFirstOneIsShorter) {
    Storage storage(2 * kMiB + 5000);
    Neighbourhoods all(storage.reader(), 2 * kMiB + 5000);
    expect_right(all, 0, 96);
    EXPECT_TRUE(storage.was_asked(0, 5000));
}

TEST(Neighbourhoods, ARequestAcrossTwo) {
    Storage storage(4 * kMiB);
    Neighbourhoods all(storage.reader(), 4 * kMiB);
    expect_right(all, kMiB - 500, 200000);
    EXPECT_EQ(storage.count(), 2U);
}

TEST(Neighbourhoods, ASmallImage) {
    Storage storage(300);
    Neighbourhoods all(storage.reader(), 300);
    expect_right(all, 0, 300);
    expect_right(all, 299, 1);
    EXPECT_EQ(storage.count(), 1U);
}

TEST(Neighbourhoods, ABadPlaceFailsOnlyThoseWhoNeedIt) {
    Storage storage(4 * kMiB);
    Neighbourhoods all(storage.reader(), 4 * kMiB);
    storage.damage(kMiB + 1000);
    expect_right(all, kMiB, 1000);
    expect_right(all, kMiB + 1001, 5000);
    ByteVector bytes(2000);
    EXPECT_FALSE(all.read(kMiB, bytes));
    storage.damage(~std::uint64_t{0});
    expect_right(all, kMiB, 2000);
}

TEST(Neighbourhoods, BeyondTheEndIsAnError) {
    Storage storage(kMiB);
    Neighbourhoods all(storage.reader(), kMiB);
    ByteVector bytes(100);
    EXPECT_FALSE(all.read(kMiB - 50, bytes));
    EXPECT_FALSE(all.read(2 * kMiB, bytes));
}

TEST(Neighbourhoods, AFileThatBecameShorterFailsWhatIsGone) {
    Storage storage(kMiB + 100);
    Neighbourhoods all(storage.reader(), 2 * kMiB);
    expect_right(all, kMiB + 10, 50);
    ByteVector bytes(200);
    EXPECT_FALSE(all.read(kMiB + 10, bytes));
}

TEST(Neighbourhoods, ReadersGoWhereTheCallerGoes) {
    Storage storage(100 * kMiB);
    Neighbourhoods all(storage.reader(), 100 * kMiB);
    start(all);
    expect_right(all, 50 * kMiB, 100);
    ASSERT_TRUE(comes_true([&] { return storage.was_asked(51 * kMiB, kMiB); }));
    ASSERT_TRUE(comes_true([&] { return storage.count() == 5; }));
    expect_right(all, 51 * kMiB, 100);
    ASSERT_TRUE(comes_true([&] { return storage.was_asked(55 * kMiB, kMiB); }));
    EXPECT_FALSE(storage.was_asked(49 * kMiB, kMiB));
}

TEST(Neighbourhoods, WhatIsExpectedIsReadOnce) {
    Storage storage(100 * kMiB);
    Neighbourhoods all(storage.reader(), 100 * kMiB);
    start(all);
    const std::vector<ByteRange> parts{
        {10 * kMiB + 5, 2 * kMiB}, {13 * kMiB - 9, 9}, {70 * kMiB, kMiB}, {200 * kMiB, 5}, {0, 0}};
    all.expect(parts);
    ASSERT_TRUE(comes_true([&] { return all.counters().used_bytes == 4 * kMiB; }));
    for (const std::uint64_t place : {10, 11, 12, 70})
        EXPECT_TRUE(storage.was_asked(place * kMiB, kMiB)) << place;
    expect_right(all, 10 * kMiB + 5, 2 * kMiB);
    expect_right(all, 70 * kMiB, kMiB);
    EXPECT_EQ(storage.count(), 4U) << "each once, and no guesses";
    all.expect({});
    expect_right(all, 40 * kMiB, 100);
    EXPECT_TRUE(comes_true([&] { return storage.was_asked(41 * kMiB, kMiB); })) << "guesses again";
}

TEST(Neighbourhoods, WhatIsReadInVainIsReadLess) {
    Storage storage(400 * kMiB);
    Neighbourhoods all(storage.reader(), 400 * kMiB);
    start(all);
    for (std::uint64_t place = 0; place < 30; ++place) {
        const std::size_t before = storage.count();
        expect_right(all, place * 11 * kMiB, 100);
        ASSERT_TRUE(comes_true([&] { return storage.count() >= before + 2; }));
    }
    EXPECT_LT(storage.count(), 30U * 3) << "one each, and one ahead of it, but for the first ones";
}

TEST(Neighbourhoods, AnImageThatFitsIsReadAsAWhole) {
    Storage storage(20 * kMiB);
    Neighbourhoods all(storage.reader(), 20 * kMiB);
    start(all);
    expect_right(all, 7 * kMiB, 100);
    ASSERT_TRUE(comes_true([&] { return all.counters().used_bytes == 20 * kMiB; }));
    expect_right(all, 0, 20 * kMiB - 1);
    EXPECT_EQ(storage.count(), 20U);
    EXPECT_TRUE(storage.was_read_into_pages()) << "FUSE would split what touches a page more";
}

TEST(Neighbourhoods, ManyCallersOneRead) {
    Storage storage(3 * kMiB);
    Neighbourhoods all(storage.reader(), 3 * kMiB);
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) callers.emplace_back([&all] { expect_right(all, kMiB + 5, 3000); });
    callers.clear();
    EXPECT_EQ(storage.count(), 1U);
}

TEST(Neighbourhoods, TheBudgetHolds) {
    Storage storage(80 * kMiB);
    Neighbourhoods all(storage.reader(), 80 * kMiB);
    for (std::uint64_t place = 0; place < 80; ++place) expect_right(all, place * kMiB, 10);
    EXPECT_LE(all.counters().used_bytes, Neighbourhoods::kBudget);
}

}  // namespace
}  // namespace squenv::image
