// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <iosfwd>

#include "squenv/pack.h"

namespace squenv::cli {

/// One line that is redrawn: share, bytes, rate, time left. For one thread at a time.
class ProgressBar {
  public:
    explicit ProgressBar(std::ostream& out) : out_(out) {}
    void update(const pack::Progress& progress);
    /// Removes the line.
    void clear();

  private:
    using Clock = std::chrono::steady_clock;
    std::ostream& out_;
    const Clock::time_point start_ = Clock::now();
    Clock::time_point drawn_ = start_;
    bool is_shown_ = false;
};

}  // namespace squenv::cli
