// SPDX-License-Identifier: MIT
#include "mount/users.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "mount/lease.h"
#include "mount/meeting_point.h"

namespace squenv::mount {
namespace {

std::string unique_name() {
    static int count = 0;
    return "squenv-test/" + std::to_string(::getpid()) + "/" + std::to_string(count++);
}

void serve_once(Users& users) {
    pollfd waiting{users.ready_fd(), POLLIN, 0};
    ASSERT_GT(::poll(&waiting, 1, 5000), 0);
    users.serve();
}

TEST(MeetingPoint, OneClaims) {
    const auto name = unique_name();
    auto first = claim_meeting_point(name);
    ASSERT_TRUE(first && *first);
    const auto second = claim_meeting_point(name);
    ASSERT_TRUE(second);
    EXPECT_FALSE(*second);
    first->reset();
    const auto third = claim_meeting_point(name);
    EXPECT_TRUE(third && *third);
}

TEST(MeetingPoint, NobodyListens) {
    const auto connection = visit_meeting_point(unique_name());
    ASSERT_TRUE(connection);
    EXPECT_FALSE(*connection);
}

TEST(MeetingPoint, NameDependsOnEverything) {
    const SharedMount mount{{1, 2, 3, 4}, "view", "/path"};
    SharedMount other = mount;
    EXPECT_EQ(meeting_name({mount}, "kind"), meeting_name({other}, "kind"));
    EXPECT_NE(meeting_name({mount}, "kind"), meeting_name({mount}, "other"));
    EXPECT_NE(meeting_name({mount}, "kind"), meeting_name({mount, mount}, "kind"));
    other.image.mtime_ns = 5;
    EXPECT_NE(meeting_name({mount}, "kind"), meeting_name({other}, "kind"));
    other = mount;
    other.mountpoint = "/paths";
    EXPECT_NE(meeting_name({mount}, "kind"), meeting_name({other}, "kind"));
}

/// A user in a process of its own, which ends when `end` is written to.
struct Visitor {
    pid_t pid = -1;
    UniqueFd end{};
    UniqueFd told{};  ///< readable when it was admitted
};

Visitor start_visitor(const std::string& name) {
    int end[2];
    int told[2];
    EXPECT_EQ(::pipe(end), 0);
    EXPECT_EQ(::pipe(told), 0);
    Visitor visitor{::fork(), UniqueFd(end[1]), UniqueFd(told[0])};
    if (visitor.pid == 0) {
        ::close(end[1]);
        auto connection = visit_meeting_point(name);
        const bool is_admitted = connection && *connection &&
                                 ask_admission((*connection)->get(), 5000)->has_value();
        char byte = is_admitted ? 'y' : 'n';
        (void)!::write(told[1], &byte, 1);
        (void)!::read(end[0], &byte, 1);
        ::_exit(0);
    }
    ::close(end[0]);
    ::close(told[1]);
    return visitor;
}

TEST(Users, ComeAndGo) {
    const auto name = unique_name();
    auto listener = claim_meeting_point(name);
    ASSERT_TRUE(listener && *listener);
    auto users = Users::create(std::move(**listener), {}, {});
    ASSERT_TRUE(users);
    EXPECT_TRUE(users->is_empty());
    auto visitor = start_visitor(name);
    char byte = 0;
    for (pollfd waiting{visitor.told.get(), POLLIN, 0}; ::poll(&waiting, 1, 10) == 0;)
        users->serve();
    ASSERT_EQ(::read(visitor.told.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    EXPECT_FALSE(users->is_empty());
    visitor.end.reset();
    ::waitpid(visitor.pid, nullptr, 0);
    while (!users->is_empty()) serve_once(*users);
}

TEST(Users, AKilledUserIsGone) {
    const auto name = unique_name();
    auto listener = claim_meeting_point(name);
    auto users = Users::create(std::move(**listener), {}, {});
    auto visitor = start_visitor(name);
    for (pollfd waiting{visitor.told.get(), POLLIN, 0}; ::poll(&waiting, 1, 10) == 0;)
        users->serve();
    ::kill(visitor.pid, SIGKILL);
    ::waitpid(visitor.pid, nullptr, 0);
    while (!users->is_empty()) serve_once(*users);
}

TEST(Users, AnInheritedConnectionCounts) {
    auto first = FirstUser::create();
    ASSERT_TRUE(first);
    first->user.process.reset();
    auto users = Users::create({}, std::move(first->user), {});
    const UniqueFd inherited(::dup(first->ours.get()));
    first->ours.reset();
    users->serve();
    EXPECT_FALSE(users->is_empty());
}

TEST(Users, WhoComesWhenItEndsIsTurnedAway) {
    const auto name = unique_name();
    auto listener = claim_meeting_point(name);
    std::optional<Users> users = std::move(*Users::create(std::move(**listener), {}, {}));
    auto connection = visit_meeting_point(name);
    ASSERT_TRUE(connection && *connection);
    users.reset();
    const auto home = ask_admission((*connection)->get(), 5000);
    ASSERT_TRUE(home);
    EXPECT_FALSE(*home);
}

}  // namespace
}  // namespace squenv::mount
