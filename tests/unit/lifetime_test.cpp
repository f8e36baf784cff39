// SPDX-License-Identifier: MIT
#include "daemon/lifetime.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <deque>
#include <string>
#include <vector>

namespace squenv::test {
namespace {

using daemon::Lifetime;
using mount::UnmountMode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Calls = std::vector<std::string>;

/// Records what it is asked to do, and answers with what was prepared, then with success.
class FakeMount final : public daemon::ServedMount {
  public:
    Status unmount(UnmountMode mode) override {
        return answer(mode == UnmountMode::lazy ? "unmount lazily" : "unmount");
    }
    Status leave() override { return answer("leave"); }
    [[nodiscard]] bool has_members() const override { return members != 0; }
    [[nodiscard]] double idle_seconds() const override { return idle; }
    void end_walk() override { ++walks_ended; }
    void end_process() override { calls.emplace_back("end"); }

    void prepare(const std::vector<Status>& statuses) {
        answers.insert(answers.end(), statuses.begin(), statuses.end());
    }

    Calls calls{};
    int walks_ended = 0;
    int members = 0;
    double idle = 0;

  private:
    Status answer(const char* call) {
        calls.emplace_back(call);
        if (answers.empty()) return {};
        Status status = answers.front();
        answers.pop_front();
        return status;
    }

    std::deque<Status> answers{};
};

Status busy() {
    return fail_errno(EBUSY, "unmount");
}
Status forbidden() {
    return fail_errno(EPERM, "unmount");
}
/// As the supervisor answers for a mount that is in no mount table.
Status detached() {
    return fail(Errc::not_found, "not mounted any more");
}

class LifetimeTest : public testing::Test {
  protected:
    void start(Lifetime lifetime, seconds idle_timeout = seconds(0)) {
        strategy_ = daemon::make_lifetime(lifetime, mount_, idle_timeout);
    }
    /// What the daemon does after a wait that ended with the time-out or with an event.
    void wait(bool is_time) {
        if (mount_.has_members())
            strategy_->on_members();
        else
            strategy_->on_members_gone();
        if (is_time && !strategy_->is_unmounting()) strategy_->on_timeout();
    }
    void pass_time() { wait(true); }
    void pass_event() { wait(false); }

    FakeMount mount_;
    std::unique_ptr<daemon::LifetimeStrategy> strategy_;
};

class UntilUnmounted : public LifetimeTest {};

TEST_F(UntilUnmounted, TheFirstSignalUnmounts) {
    start(Lifetime::until_unmounted);
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, Calls{"unmount"});
    EXPECT_EQ(mount_.walks_ended, 1);
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(UntilUnmounted, ABusyMountIsDetached) {
    start(Lifetime::until_unmounted);
    mount_.prepare({busy()});
    strategy_->on_signal(SIGINT);
    EXPECT_EQ(mount_.calls, (Calls{"unmount", "unmount lazily"}));
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(UntilUnmounted, ASecondSignalEndsTheProcess) {
    start(Lifetime::until_unmounted);
    mount_.prepare({busy()});
    strategy_->on_signal(SIGINT);
    strategy_->on_signal(SIGINT);
    EXPECT_EQ(mount_.calls, (Calls{"unmount", "unmount lazily", "end"}));
}

TEST_F(UntilUnmounted, AMountThatCannotBeRemovedIsServedOn) {
    start(Lifetime::until_unmounted);
    mount_.prepare({forbidden()});
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, Calls{"unmount"}) << "not lazily: it is not busy";
    EXPECT_FALSE(strategy_->is_unmounting());
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, (Calls{"unmount", "end"})) << "a second signal is obeyed all the same";
}

TEST_F(UntilUnmounted, AMountThatCannotBeDetachedEitherIsServedOn) {
    start(Lifetime::until_unmounted);
    mount_.prepare({busy(), forbidden()});
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, (Calls{"unmount", "unmount lazily"}));
    EXPECT_FALSE(strategy_->is_unmounting());
}

TEST_F(UntilUnmounted, ADetachedMountCountsAsUnmounted) {
    start(Lifetime::until_unmounted);
    mount_.prepare({detached()});
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, Calls{"unmount"});
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(UntilUnmounted, MembersThatLeaveDoNotEndIt) {
    start(Lifetime::until_unmounted);
    mount_.members = 1;
    pass_event();
    mount_.members = 0;
    pass_event();
    EXPECT_EQ(mount_.calls, Calls{});
    EXPECT_FALSE(strategy_->is_unmounting());
    EXPECT_FALSE(strategy_->next_timeout());
}

TEST_F(UntilUnmounted, TheIdleTimeIsWaitedFor) {
    start(Lifetime::until_unmounted, seconds(60));
    mount_.idle = 20;
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(40'001));
    mount_.idle = 59.999;
    pass_time();
    EXPECT_EQ(mount_.calls, Calls{});
    mount_.idle = 60;
    pass_event();
    EXPECT_EQ(mount_.calls, Calls{}) << "the time is looked at when a wait has passed";
    pass_time();
    EXPECT_EQ(mount_.calls, Calls{"unmount"});
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(UntilUnmounted, ALongIdleTimeIsWaitedForInParts) {
    start(Lifetime::until_unmounted, seconds(1'000'000'000));
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(3'600'000));
}

TEST_F(UntilUnmounted, MembersKeepAnIdleMount) {
    start(Lifetime::until_unmounted, seconds(60));
    mount_.idle = 100;
    mount_.members = 1;
    pass_time();
    EXPECT_EQ(mount_.calls, Calls{});
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(1000));
    mount_.members = 0;
    pass_time();
    EXPECT_EQ(mount_.calls, Calls{"unmount"});
}

TEST_F(UntilUnmounted, ABusyIdleMountIsTriedAgain) {
    start(Lifetime::until_unmounted, seconds(60));
    mount_.prepare({busy()});
    mount_.idle = 60;
    pass_time();
    EXPECT_EQ(mount_.calls, Calls{"unmount"}) << "never lazily: its users are not asked to end";
    EXPECT_FALSE(strategy_->is_unmounting());
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(1000));
    pass_time();
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(UntilUnmounted, ASignalAfterTheIdleTimeEndsTheProcess) {
    start(Lifetime::until_unmounted, seconds(60));
    mount_.idle = 60;
    pass_time();
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, (Calls{"unmount", "end"}));
}

class WhileUsed : public LifetimeTest {
  protected:
    void SetUp() override {
        start(Lifetime::while_used);
        mount_.members = 1;
        pass_event();
    }
    /// The last member goes.
    void empty() {
        mount_.members = 0;
        pass_event();
    }
};

TEST_F(WhileUsed, MembersKeepIt) {
    pass_event();
    EXPECT_FALSE(strategy_->next_timeout());
    EXPECT_EQ(mount_.calls, Calls{});
    EXPECT_EQ(mount_.walks_ended, 0);
}

TEST_F(WhileUsed, SignalsAreNotObeyed) {
    for (const int signal : {SIGTERM, SIGTERM, SIGINT}) strategy_->on_signal(signal);
    EXPECT_EQ(mount_.calls, Calls{});
    EXPECT_EQ(mount_.walks_ended, 0);
    EXPECT_FALSE(strategy_->is_unmounting());
}

TEST_F(WhileUsed, LeavesAfterItsLastMember) {
    empty();
    EXPECT_EQ(mount_.calls, Calls{"leave"});
    EXPECT_EQ(mount_.walks_ended, 1);
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(WhileUsed, ABusyMountIsTriedAgainAtLongerIntervals) {
    mount_.prepare(std::vector<Status>(12, busy()));
    empty();
    for (const int retry_ms : {2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000}) {
        EXPECT_EQ(strategy_->next_timeout(), milliseconds(retry_ms));
        pass_time();
        EXPECT_FALSE(strategy_->is_unmounting());
    }
    EXPECT_EQ(mount_.calls, Calls(12, "leave"));
    pass_time();
    EXPECT_EQ(mount_.calls, Calls(13, "leave"));
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(WhileUsed, EventsBetweenTwoAttemptsDoNotCount) {
    mount_.prepare({busy()});
    empty();
    pass_event();
    EXPECT_EQ(mount_.calls, Calls{"leave"});
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(2));
}

TEST_F(WhileUsed, ANewMemberEndsTheRetries) {
    mount_.prepare({busy(), busy(), busy()});
    empty();
    pass_time();
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(4));
    mount_.members = 1;
    pass_time();
    EXPECT_EQ(mount_.calls, Calls(2, "leave")) << "it came while the time passed";
    EXPECT_FALSE(strategy_->next_timeout());
    empty();
    EXPECT_EQ(mount_.calls, Calls(3, "leave"));
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(2)) << "from the first interval again";
}

TEST_F(WhileUsed, AMountThatCannotBeRemovedIsServedOn) {
    mount_.prepare({forbidden(), forbidden()});
    empty();
    EXPECT_FALSE(strategy_->is_unmounting());
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(60'000));
    pass_time();
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(60'000));
    pass_time();
    EXPECT_EQ(mount_.calls, Calls(3, "leave"));
    EXPECT_TRUE(strategy_->is_unmounting()) << "what was wrong is mended";
}

TEST_F(WhileUsed, AFailureThatBecomesBusy) {
    mount_.prepare({forbidden(), busy()});
    empty();
    pass_time();
    EXPECT_EQ(strategy_->next_timeout(), milliseconds(1000));
}

TEST_F(WhileUsed, ADetachedMountCountsAsUnmounted) {
    mount_.prepare({detached()});
    empty();
    EXPECT_EQ(mount_.calls, Calls{"leave"});
    EXPECT_TRUE(strategy_->is_unmounting());
}

TEST_F(WhileUsed, AMissingMountPointCountsAsUnmounted) {
    mount_.prepare({fail_errno(ENOENT, "unmount")});
    empty();
    EXPECT_TRUE(strategy_->is_unmounting());
}

class WithNamespace : public LifetimeTest {
  protected:
    void SetUp() override { start(Lifetime::with_namespace); }
};

TEST_F(WithNamespace, EndsAtOnceAfterItsLastMember) {
    mount_.members = 1;
    pass_event();
    EXPECT_FALSE(strategy_->is_unmounting());
    mount_.members = 0;
    pass_event();
    EXPECT_TRUE(strategy_->is_unmounting());
    EXPECT_EQ(mount_.walks_ended, 1);
    EXPECT_EQ(mount_.calls, Calls{}) << "the kernel unmounts it";
}

TEST_F(WithNamespace, SignalsAreNotObeyed) {
    strategy_->on_signal(SIGTERM);
    strategy_->on_signal(SIGTERM);
    EXPECT_EQ(mount_.calls, Calls{});
    EXPECT_FALSE(strategy_->is_unmounting());
    EXPECT_FALSE(strategy_->next_timeout());
}

}  // namespace
}  // namespace squenv::test
