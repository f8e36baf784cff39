// SPDX-License-Identifier: MIT
#include "cli/stop_signal.h"

#include <unistd.h>

#include <cstddef>

#include "base/temporary_name.h"

namespace squenv::cli {

namespace {

/// A signal handler can reach only what has static storage.
std::atomic<bool>& stop_flag() {
    static std::atomic<bool> flag{false};
    static_assert(std::atomic<bool>::is_always_lock_free);
    return flag;
}

void handle(int signal) {
    if (!stop_flag().exchange(true)) return;
    remove_temporary_names();
    ::_exit(128 + signal);
}

}  // namespace

int StopSignal::depth_ = 0;

StopSignal::StopSignal() {
    if (depth_++ > 0) return;
    stop_flag() = false;
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
        ::sigaction(kSignals[i], nullptr, &before_[i]);
        if (before_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
    }
}

StopSignal::~StopSignal() {
    if (--depth_ > 0) return;
    for (std::size_t i = 0; i < kSignals.size(); ++i)
        ::sigaction(kSignals[i], &before_[i], nullptr);
}

const std::atomic<bool>& StopSignal::flag() {
    return stop_flag();
}

}  // namespace squenv::cli
