// SPDX-License-Identifier: MIT
#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <new>

#include "base/background_threads.h"
#include "base/cpus.h"
#include "base/work_queue.h"
#include "support/no_threads.h"

namespace squenv {
namespace {

using test::run_without_threads;

TEST(StartThreads, MakesAsManyAsItShould) {
    std::latch all(3);
    std::vector<std::jthread> threads;
    EXPECT_EQ(start_threads(threads, 2, [&] { all.arrive_and_wait(); }), 2U);
    all.arrive_and_wait();
    EXPECT_EQ(threads.size(), 2U);
    EXPECT_EQ(start_threads(threads, 0, [] {}), 0U);
}

TEST(StartThreads, SharesWorkWithTheCaller) {
    std::latch both(2);
    std::atomic<int> calls = 0;
    run_on_threads(2, [&] {
        ++calls;
        both.arrive_and_wait();
    });
    EXPECT_EQ(calls, 2);
    run_on_threads(0, [&] { ++calls; });
    EXPECT_EQ(calls, 3);
}

TEST(StartThreads, ThrowsWhatAnyOfThemThrewOnceAllHaveEnded) {
    for (const int thrower : {0, 1}) {
        std::latch both(2);
        std::atomic<int> numbers = 0;
        std::atomic<int> ended = 0;
        const auto work = [&] {
            const bool throws = numbers++ == thrower;
            both.arrive_and_wait();
            ++ended;
            if (throws) throw std::bad_alloc();
        };
        EXPECT_THROW(run_on_threads(2, work), std::bad_alloc);
        EXPECT_EQ(ended, 2);
    }
}

TEST(StartThreads, BackgroundThreadsAllRunWhenItReturns) {
    std::atomic<int> calls = 0;
    {
        std::vector<std::jthread> threads;
        EXPECT_EQ(start_background_threads(threads, 3, allowed_processors(), [&] { ++calls; }), 3U);
    }
    EXPECT_EQ(calls, 3);
}

TEST(StartThreadsDeathTest, GoesOnWhereTheSystemRefusesThem) {
    EXPECT_EXIT(run_without_threads([] {
                    std::vector<std::jthread> threads;
                    return start_threads(threads, 4, [] {}) == 0 && threads.empty();
                }),
                ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(run_without_threads([] {
                    int calls = 0;
                    run_on_threads(4, [&] { ++calls; });
                    return calls == 1;
                }),
                ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(run_without_threads([] {
                    std::vector<std::jthread> threads;
                    return start_background_threads(threads, 4, allowed_processors(), [] {}) == 0;
                }),
                ::testing::ExitedWithCode(0), "");
}

TEST(StartThreadsDeathTest, AQueueWithoutThreadsDoesTheJobsItself) {
    EXPECT_EXIT(run_without_threads([] {
                    int done = 0;
                    WorkQueue queue(4, 1);
                    for (int i = 0; i < 10; ++i) queue.submit([&] { ++done; });
                    queue.finish();
                    return done == 10;
                }),
                ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace squenv
