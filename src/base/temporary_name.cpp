// SPDX-License-Identifier: MIT
#include "base/temporary_name.h"

#include <fmt/core.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstring>

namespace squenv {

namespace {

enum class State { is_free, is_filled, is_set };
static_assert(std::atomic<State>::is_always_lock_free);

struct Slot {
    std::atomic<State> state{State::is_free};
    std::array<char, PATH_MAX> path{};
};

/// A command has three at most: an image, the first image of --warm, and its trace.
constexpr std::size_t kSlots = 8;

/// A signal handler can reach only what has static storage.
constinit std::array<Slot, kSlots> slots{};

}  // namespace

std::string unique_name(const std::string& prefix) {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = static_cast<std::uint64_t>(
                     std::chrono::steady_clock::now().time_since_epoch().count()) ^
                 (static_cast<std::uint64_t>(::getpid()) << 40);
    return fmt::format("{}{:016x}", prefix, number);
}

TemporaryName::TemporaryName(const std::string& path) noexcept {
    if (path.size() >= PATH_MAX) return;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        State expected = State::is_free;
        if (!slots[i].state.compare_exchange_strong(expected, State::is_filled)) continue;
        std::memcpy(slots[i].path.data(), path.c_str(), path.size() + 1);
        slots[i].state = State::is_set;
        slot_ = static_cast<int>(i);
        return;
    }
}

TemporaryName::~TemporaryName() {
    if (slot_ != kNone) slots[static_cast<std::size_t>(slot_)].state = State::is_free;
}

void remove_temporary_names() noexcept {
    for (Slot& slot : slots)
        if (slot.state == State::is_set) ::unlink(slot.path.data());
}

}  // namespace squenv
