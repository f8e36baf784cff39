// SPDX-License-Identifier: MIT
// Stops on SIGINT, SIGTERM and SIGHUP.
#pragma once

#include <signal.h>

#include <array>
#include <atomic>

namespace squenv::cli {

/// While one lives, the first of the signals sets flag(); a second one ends the process at once,
/// without its temporary files. One inside another changes nothing. A signal that was ignored
/// before (nohup) stays ignored.
class StopSignal {
  public:
    StopSignal();
    ~StopSignal();
    StopSignal(const StopSignal&) = delete;
    StopSignal& operator=(const StopSignal&) = delete;

    [[nodiscard]] static const std::atomic<bool>& flag();

  private:
    static constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};
    static int depth_;
    std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace squenv::cli
