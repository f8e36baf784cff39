// SPDX-License-Identifier: MIT
#include "daemon/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/unique_fd.h"

namespace squenv::test {
namespace {

using daemon::EventSource;
using daemon::wait_for_events;
using std::chrono::milliseconds;

struct Pipe {
    UniqueFd reader{};
    UniqueFd writer{};
    Pipe() {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        reader = UniqueFd(ends[0]);
        writer = UniqueFd(ends[1]);
    }
    void fill() const { EXPECT_EQ(::write(writer.get(), "x", 1), 1); }
};

class EventLoopTest : public testing::Test {
  protected:
    [[nodiscard]] bool wait(daemon::Timeout timeout) {
        const std::array<EventSource, 3> sources{{
            {first_.reader.get(), [this] { handled_ += '1'; }},
            {-1, [this] { handled_ += '-'; }},
            {second_.reader.get(), [this] { handled_ += '2'; }},
        }};
        return wait_for_events(sources, timeout).value();
    }
    Pipe first_;
    Pipe second_;
    std::string handled_;
};

TEST_F(EventLoopTest, TheTimePasses) {
    EXPECT_TRUE(wait(milliseconds(1)));
    EXPECT_EQ(handled_, "");
}

TEST_F(EventLoopTest, OnlyWhatIsReadableIsHandled) {
    second_.fill();
    EXPECT_FALSE(wait({}));
    EXPECT_EQ(handled_, "2");
}

TEST_F(EventLoopTest, HandlersAreCalledInOrder) {
    second_.fill();
    first_.fill();
    EXPECT_FALSE(wait(milliseconds(0)));
    EXPECT_EQ(handled_, "12");
}

TEST_F(EventLoopTest, TheOtherEndIsClosed) {
    first_.writer.reset();
    EXPECT_FALSE(wait({}));
    EXPECT_EQ(handled_, "1");
}

}  // namespace
}  // namespace squenv::test
