// SPDX-License-Identifier: MIT
#include "base/threads.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <latch>
#include <new>
#include <string>

#include "base/background_threads.h"
#include "base/cpus.h"
#include "base/process_limits.h"
#include "base/sanitizers.h"
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

TEST(StartThreads, RefusalsNameTheLimitOfProcesses) {
    EXPECT_EXIT(run_without_threads([] {
                    const Error error = fail_thread("a thread").value();
                    return error.sys_errno == EAGAIN &&
                           error.hint.find("'ulimit -u' allows 0") != std::string::npos;
                }),
                testing::ExitedWithCode(0), "");
}

TEST(StartThreads, RefusalsNameTheLimitOfMemory) {
    if (SQUENV_HAS_SANITIZER) GTEST_SKIP() << "sanitizers take address space";
    const auto is_told = [] {
        const rlimit none{1 << 20, 1 << 20};  // less than is in use
        if (::setrlimit(RLIMIT_AS, &none) != 0) ::_exit(2);
        ::_exit(is_short_of_memory(fail_thread("a thread").value()) ? 0 : 1);
    };
    EXPECT_EXIT(is_told(), testing::ExitedWithCode(0), "");
    EXPECT_EQ(address_space_limit(), "") << "the tests have no such limit";
}

TEST(StartThreads, KillsForWantOfMemoryAreCounted) {
    const std::string path = testing::TempDir() + "squenv-vmstat-" + std::to_string(::getpid());
    std::ofstream(path) << "nr_free_pages 12\noom_kill 7\nunevictable_pgs_culled 3\n";
    EXPECT_EQ(memory_kills(path), 7U);
    std::ofstream(path) << "nr_free_pages 12\n";
    EXPECT_EQ(memory_kills(path), 0U);
    ::unlink(path.c_str());
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
