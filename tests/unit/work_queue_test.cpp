// SPDX-License-Identifier: MIT
#include "base/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <new>

#include "base/cpus.h"

namespace squenv {
namespace {

TEST(WorkQueue, DoesEveryJob) {
    std::atomic<int> done = 0;
    WorkQueue queue(4, 3);
    for (int i = 0; i < 1000; ++i) queue.submit([&] { ++done; });
    queue.finish();
    EXPECT_EQ(done, 1000);
}

TEST(WorkQueue, TheDestructorFinishesWhatWasSubmitted) {
    std::atomic<int> done = 0;
    {
        WorkQueue queue(1, 100);
        for (int i = 0; i < 100; ++i) queue.submit([&] { ++done; });
    }
    EXPECT_EQ(done, 100);
}

TEST(WorkQueue, ZeroThreadsMeanOne) {
    std::atomic<int> done = 0;
    WorkQueue queue(0, 1);
    queue.submit([&] { ++done; });
    queue.finish();
    EXPECT_EQ(done, 1);
}

TEST(WorkQueue, JobsRunAtTheSameTime) {
    std::latch both(2);
    WorkQueue queue(2, 2);
    queue.submit([&] { both.arrive_and_wait(); });
    queue.submit([&] { both.arrive_and_wait(); });
    queue.finish();
}

TEST(WorkQueue, FinishTwiceIsHarmless) {
    WorkQueue queue(2, 2);
    queue.finish();
    queue.finish();
}

TEST(WorkQueue, FinishThrowsWhatAJobThrewOnce) {
    std::atomic<int> done = 0;
    WorkQueue queue(2, 2);
    queue.submit([] { throw std::bad_alloc(); });
    for (int i = 0; i < 10; ++i) queue.submit([&] { ++done; });
    EXPECT_THROW(queue.finish(), std::bad_alloc);
    EXPECT_EQ(done, 10);
    queue.finish();
}

TEST(Cpus, ThereIsAtLeastOne) {
    EXPECT_GE(available_cpus(), 1U);
}

}  // namespace
}  // namespace squenv
