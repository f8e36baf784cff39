// SPDX-License-Identifier: MIT
#include "system/namespaces.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace squenv::system {
namespace {

TEST(Namespaces, AProcessWithThreadsMayNotJoin) {
    std::promise<void> end;
    std::thread other([&end] { end.get_future().wait(); });
    const auto status = check_single_thread();
    end.set_value();
    other.join();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::environment);
    EXPECT_NE(status.error().message().find("LD_PRELOAD"), std::string::npos);
}

TEST(Namespaces, OwnUserNamespaceIsKnown) {
    const auto own = own_namespaces();
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_FALSE(has_other_user(*own));
    EXPECT_TRUE(has_other_user({})) << "one that cannot be looked at is another";
}

}  // namespace
}  // namespace squenv::system
