// SPDX-License-Identifier: MIT
#include "base/sharded_cache.h"

#include <gtest/gtest.h>

#include <latch>
#include <new>
#include <stdexcept>
#include <thread>

#include "base/resource_pool.h"

namespace squenv {
namespace {

using Cache = ShardedCache<int, int>;

Result<Cache::Loaded> value(int number, std::size_t cost = 1) {
    return Cache::Loaded{std::make_shared<const int>(number), cost};
}

TEST(ShardedCache, LoadsOnceAndRemembers) {
    Cache cache(100, 1);
    int loads = 0;
    const auto load = [&] { return ++loads, value(7); };
    EXPECT_EQ(**cache.get_or_load(1, load), 7);
    EXPECT_EQ(**cache.get_or_load(1, load), 7);
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(cache.counters().hits, 1U);
    EXPECT_EQ(cache.counters().misses, 1U);
    EXPECT_EQ(*cache.find(1), 7);
    EXPECT_EQ(cache.find(2), nullptr);
}

TEST(ShardedCache, StaysInsideItsBudgetAndDropsTheLeastRecentlyUsed) {
    Cache cache(3, 1);
    for (int key = 0; key < 3; ++key) (void)cache.get_or_load(key, [&] { return value(key); });
    (void)cache.find(0);
    (void)cache.get_or_load(3, [&] { return value(3); });
    EXPECT_NE(cache.find(0), nullptr);
    EXPECT_EQ(cache.find(1), nullptr);
    EXPECT_NE(cache.find(3), nullptr);
    for (int key = 0; key < 1000; ++key) {
        (void)cache.get_or_load(key, [&] { return value(key, 2); });
        ASSERT_LE(cache.counters().used_bytes, 3U);
    }
    EXPECT_GT(cache.counters().evictions, 900U);
}

TEST(ShardedCache, ValuesLargerThanAShardAreServedButNotKept) {
    Cache cache(10, 2);
    EXPECT_EQ(**cache.get_or_load(1, [] { return value(5, 6); }), 5);
    EXPECT_EQ(cache.find(1), nullptr);
    EXPECT_EQ(cache.counters().used_bytes, 0U);
}

TEST(ShardedCache, DroppedValuesLiveOnInTheHandsOfTheirUsers) {
    Cache cache(1, 1);
    const auto held = *cache.get_or_load(1, [] { return value(11); });
    (void)cache.get_or_load(2, [] { return value(12); });
    EXPECT_EQ(cache.find(1), nullptr);
    EXPECT_EQ(*held, 11);
}

TEST(ShardedCache, FailuresAreNotRemembered) {
    Cache cache(100, 1);
    const auto failed =
        cache.get_or_load(1, []() -> Result<Cache::Loaded> { return fail(Errc::io, "storage"); });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Errc::io);
    EXPECT_EQ(**cache.get_or_load(1, [] { return value(3); }), 3);
}

TEST(ShardedCache, AnExceptionOfTheLoaderLeavesTheCacheUsable) {
    Cache cache(100, 1);
    EXPECT_THROW(
        (void)cache.get_or_load(1, []() -> Result<Cache::Loaded> { throw std::bad_alloc(); }),
        std::bad_alloc);
    EXPECT_EQ(**cache.get_or_load(1, [] { return value(3); }), 3);
}

TEST(ShardedCache, ManyThreadsCauseOneLoad) {
    Cache cache(100, 4);
    constexpr int kThreads = 8;
    std::latch all_started(kThreads);
    std::atomic<int> loads = 0;
    std::atomic<int> right = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < kThreads; ++i)
            threads.emplace_back([&] {
                all_started.arrive_and_wait();
                const auto got = cache.get_or_load(1, [&] { return ++loads, value(9); });
                if (got && **got == 9) ++right;
            });
    }
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(right, kThreads);
}

TEST(ShardedCache, WaitersOfAFailedLoadGetItsErrorAndTheNextOneSucceeds) {
    Cache cache(100, 1);
    std::latch is_loading(1);
    std::latch may_fail(1);
    std::thread loader([&] {
        const auto got = cache.get_or_load(1, [&]() -> Result<Cache::Loaded> {
            is_loading.count_down();
            may_fail.wait();
            return fail(Errc::io, "storage");
        });
        EXPECT_FALSE(got);
    });
    is_loading.wait();
    std::atomic<int> own_loads = 0;
    std::thread waiter([&] {
        const auto got = cache.get_or_load(1, [&] { return ++own_loads, value(4); });
        // Either it waited and got the error, or it came after and loaded.
        if (!got)
            EXPECT_EQ(got.error().context, "storage");
        else
            EXPECT_EQ(own_loads, 1);
    });
    may_fail.count_down();
    loader.join();
    waiter.join();
    EXPECT_EQ(**cache.get_or_load(1, [] { return value(4); }), 4);
}

TEST(ShardedCache, HoldsUnderContention) {
    Cache cache(64, 4);
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 5000; ++i) {
                    const int key = (i * 7 + t * 13) % 200;
                    const auto got = cache.get_or_load(key, [&]() -> Result<Cache::Loaded> {
                        if (key % 10 == 9) return fail(Errc::io, "odd key");
                        return value(key * 2, 2);
                    });
                    if (key % 10 == 9 ? got.has_value() : !got || **got != key * 2) ++wrong;
                }
            });
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_LE(cache.counters().used_bytes, 64U);
}

TEST(ResourcePool, ObjectsAreReused) {
    ResourcePool<int> pool;
    int made = 0;
    const auto make = [&] { return new int(++made); };
    { const auto first = pool.borrow(make); }
    {
        const auto second = pool.borrow(make);
        EXPECT_EQ(*second.get(), 1);
        const auto third = pool.borrow(make);
        EXPECT_EQ(*third.get(), 2);
    }
    EXPECT_EQ(made, 2);
    ResourcePool<int> failing;
    EXPECT_FALSE(failing.borrow([]() -> int* { return nullptr; }));
}

}  // namespace
}  // namespace squenv
