// SPDX-License-Identifier: MIT
#include "share/members.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "share/membership.h"
#include "share/rendezvous.h"
#include "system/named_socket.h"

namespace squenv::share {
namespace {

/// A bound against hangs.
constexpr int kPatienceMs = 30'000;

std::string unique_name() {
    static int count = 0;
    return "squenv-test/" + std::to_string(::getpid()) + "/" + std::to_string(count++);
}

void serve_once(Members& members) {
    pollfd waiting{members.ready_fd(), POLLIN, 0};
    ASSERT_GT(::poll(&waiting, 1, kPatienceMs), 0);
    members.serve();
}

TEST(MeetingPoint, OneClaims) {
    const auto name = unique_name();
    auto first = system::claim_name(name);
    ASSERT_TRUE(first && *first);
    const auto second = system::claim_name(name);
    ASSERT_TRUE(second);
    EXPECT_FALSE(*second);
    first->reset();
    const auto third = system::claim_name(name);
    EXPECT_TRUE(third && *third);
}

TEST(MeetingPoint, NobodyListens) {
    const auto connection = system::visit_name(unique_name());
    ASSERT_TRUE(connection);
    EXPECT_FALSE(*connection);
}

TEST(MeetingPoint, NameDependsOnEverything) {
    const SharedMount mount{{1, 2, 3, 4}, "view", "/path"};
    SharedMount other = mount;
    EXPECT_EQ(rendezvous_name({mount}, "kind"), rendezvous_name({other}, "kind"));
    EXPECT_NE(rendezvous_name({mount}, "kind"), rendezvous_name({mount}, "other"));
    EXPECT_NE(rendezvous_name({mount}, "kind"), rendezvous_name({mount, mount}, "kind"));
    other.image.mtime_ns = 5;
    EXPECT_NE(rendezvous_name({mount}, "kind"), rendezvous_name({other}, "kind"));
    other = mount;
    other.mountpoint = "/paths";
    EXPECT_NE(rendezvous_name({mount}, "kind"), rendezvous_name({other}, "kind"));
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
        auto connection = system::visit_name(name);
        const bool is_admitted = connection && *connection &&
                                 ask_admission((*connection)->get(), kPatienceMs)->has_value();
        char byte = is_admitted ? 'y' : 'n';
        (void)!::write(told[1], &byte, 1);
        (void)!::read(end[0], &byte, 1);
        ::_exit(0);
    }
    ::close(end[0]);
    ::close(told[1]);
    return visitor;
}

TEST(Members, ComeAndGo) {
    const auto name = unique_name();
    auto listener = system::claim_name(name);
    ASSERT_TRUE(listener && *listener);
    auto members = Members::create(std::move(**listener), {}, {});
    ASSERT_TRUE(members);
    EXPECT_TRUE(members->is_empty());
    auto visitor = start_visitor(name);
    char byte = 0;
    for (pollfd waiting{visitor.told.get(), POLLIN, 0}; ::poll(&waiting, 1, 10) == 0;)
        members->serve();
    ASSERT_EQ(::read(visitor.told.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    EXPECT_FALSE(members->is_empty());
    visitor.end.reset();
    ::waitpid(visitor.pid, nullptr, 0);
    while (!members->is_empty()) serve_once(*members);
}

TEST(Members, AKilledUserIsGone) {
    const auto name = unique_name();
    auto listener = system::claim_name(name);
    auto members = Members::create(std::move(**listener), {}, {});
    auto visitor = start_visitor(name);
    for (pollfd waiting{visitor.told.get(), POLLIN, 0}; ::poll(&waiting, 1, 10) == 0;)
        members->serve();
    ::kill(visitor.pid, SIGKILL);
    ::waitpid(visitor.pid, nullptr, 0);
    while (!members->is_empty()) serve_once(*members);
}

TEST(Members, AnInheritedConnectionCounts) {
    auto first = FirstMember::create();
    ASSERT_TRUE(first);
    first->member.process.reset();
    auto members = Members::create({}, std::move(first->member), {});
    const UniqueFd inherited(::dup(first->ours.get()));
    first->ours.reset();
    members->serve();
    EXPECT_FALSE(members->is_empty());
}

TEST(Members, AProcessTakesTheMembershipOver) {
    auto first = FirstMember::create();
    ASSERT_TRUE(first);
    auto members = Members::create({}, std::move(first->member), {});
    const pid_t heir = ::fork();
    if (heir == 0) {
        ::pause();
        ::_exit(0);
    }
    pass_membership(first->ours.get(), heir);
    first->ours.reset();
    members->serve();
    EXPECT_FALSE(members->is_empty());
    ::kill(heir, SIGKILL);
    ::waitpid(heir, nullptr, 0);
    while (!members->is_empty()) serve_once(*members);
}

UniqueFd copy_of(const UniqueFd& fd) {
    return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

/// The copies that another process would hold, and how it learns of members.
class ShadowTest : public testing::Test {
  protected:
    ShadowTest() {
        auto listener = system::claim_name(name_);
        members_.emplace(std::move(*Members::create(std::move(**listener), {}, {})));
        shadow_.become_shadow();
        members_->mirror_to([this](std::uint64_t key, const Member& member) {
            shadow_.mirror(key, {copy_of(member.connection), copy_of(member.process), true});
        });
        visitor_ = start_visitor(name_);
        for (pollfd waiting{visitor_.told.get(), POLLIN, 0}; ::poll(&waiting, 1, 10) == 0;)
            members_->serve();
    }
    void end_visitor() {
        visitor_.end.reset();
        ::waitpid(visitor_.pid, nullptr, 0);
    }

    std::string name_ = unique_name();
    std::optional<Members> members_;
    Members shadow_ = std::move(*Members::create({}, {}, {}));
    Visitor visitor_;
};

TEST_F(ShadowTest, KnowsWhoCameAndWent) {
    EXPECT_FALSE(shadow_.is_empty());
    shadow_.serve();
    EXPECT_FALSE(shadow_.is_empty());
    end_visitor();
    while (!shadow_.is_empty()) serve_once(shadow_);
    while (!members_->is_empty()) serve_once(*members_);
}

TEST_F(ShadowTest, TakesTheDaemonsPlace) {
    members_.reset();
    shadow_.become_owner();
    shadow_.serve();
    EXPECT_FALSE(shadow_.is_empty());
    end_visitor();
    while (!shadow_.is_empty()) serve_once(shadow_);
}

TEST(Members, WhoComesWhenItEndsIsTurnedAway) {
    const auto name = unique_name();
    auto listener = system::claim_name(name);
    std::optional<Members> members = std::move(*Members::create(std::move(**listener), {}, {}));
    auto connection = system::visit_name(name);
    ASSERT_TRUE(connection && *connection);
    members.reset();
    const auto home = ask_admission((*connection)->get(), kPatienceMs);
    ASSERT_TRUE(home);
    EXPECT_FALSE(*home);
}

}  // namespace
}  // namespace squenv::share
