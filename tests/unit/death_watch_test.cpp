// SPDX-License-Identifier: MIT
#include "daemon/death_watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace squenv::test {
namespace {

/// A process whose main thread is watched, and how it is told to go on.
class DeathWatchTest : public testing::Test {
  protected:
    void start(void (*run)(int go)) {
        watch_.emplace(daemon::DeathWatch::create().value());
        int ready[2];
        int go[2];
        ASSERT_EQ(::pipe(ready), 0);
        ASSERT_EQ(::pipe(go), 0);
        child_ = ::fork();
        if (child_ == 0) {
            ::close(go[1]);
            watch_->be_watched();
            (void)!::write(ready[1], "r", 1);
            run(go[0]);
            ::_exit(0);
        }
        ::close(go[0]);
        ::close(ready[1]);
        go_ = UniqueFd(go[1]);
        char byte = 0;
        ASSERT_EQ(::read(ready[0], &byte, 1), 1);
        ::close(ready[0]);
        death_ = watch_->watch().value();
    }
    void TearDown() override {
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    [[nodiscard]] bool is_dead(int timeout_ms) const {
        pollfd waiting{death_.get(), POLLIN, 0};
        return ::poll(&waiting, 1, timeout_ms) == 1;
    }

    std::optional<daemon::DeathWatch> watch_;
    daemon::DeathNotice death_;
    UniqueFd go_;
    pid_t child_ = -1;
};

void wait_for_word(int go) {
    char byte = 0;
    (void)!::read(go, &byte, 1);
}

TEST_F(DeathWatchTest, ALivingProcessIsNotDead) {
    start(wait_for_word);
    EXPECT_FALSE(is_dead(50));
}

TEST_F(DeathWatchTest, KilledProcess) {
    start(wait_for_word);
    ::kill(child_, SIGKILL);
    EXPECT_TRUE(is_dead(20'000));
}

TEST_F(DeathWatchTest, ProcessThatEnds) {
    start(wait_for_word);
    go_.reset();
    EXPECT_TRUE(is_dead(20'000));
}

TEST_F(DeathWatchTest, NothingIsWrittenToAnotherDescriptorOfItsNumber) {
    for (int round = 0; round < 100; ++round) {
        start(wait_for_word);
        const int number = death_.get();
        death_.reset();
        UniqueFd other(::eventfd(0, EFD_NONBLOCK));
        if (other.get() != number) {
            ASSERT_EQ(::dup2(other.get(), number), number);
            other.reset(number);
        }
        TearDown();
        pollfd waiting{number, POLLIN, 0};
        EXPECT_EQ(::poll(&waiting, 1, 2), 0);
    }
    child_ = -1;
}

TEST_F(DeathWatchTest, AMainThreadThatEndsWhileAnotherGoesOn) {
    start([](int go) {
        std::thread([] {
            for (;;) ::pause();
        }).detach();
        wait_for_word(go);
        ::syscall(SYS_exit, 0);  // of this thread alone
    });
    EXPECT_FALSE(is_dead(50));
    go_.reset();
    EXPECT_TRUE(is_dead(20'000));
    int status = 0;
    EXPECT_EQ(::waitpid(child_, &status, WNOHANG), 0) << "the other thread keeps the process";
}

}  // namespace
}  // namespace squenv::test
