// SPDX-License-Identifier: MIT
#include "cli/progress_bar.h"

#include <fmt/core.h>

#include <algorithm>
#include <ostream>
#include <string>

#include "base/units.h"

namespace squenv::cli {

void ProgressBar::update(const pack::Progress& progress) {
    constexpr auto kInterval = std::chrono::milliseconds(100);
    constexpr double kWidth = 24;
    const auto now = Clock::now();
    if (now - drawn_ < kInterval || progress.bytes_total == 0) return;
    drawn_ = now;
    const double share = std::min(
        1.0, static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total));
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = static_cast<double>(progress.bytes_done) / seconds;
    const std::uint64_t done = std::min(progress.bytes_done, progress.bytes_total);
    const auto left_bytes = static_cast<double>(progress.bytes_total - done);
    const std::string left =
        rate > 0 ? fmt::format("{:.0f} s left", left_bytes / rate) : std::string();
    const std::string bar(static_cast<std::size_t>(share * kWidth), '#');
    out_ << fmt::format("\r\x1b[K{:3.0f} % [{:<24}] {} of {}, {}/s, {}", share * 100, bar,
                        format_size(progress.bytes_done), format_size(progress.bytes_total),
                        format_size(static_cast<std::uint64_t>(rate)), left)
         << std::flush;
    is_shown_ = true;
}

void ProgressBar::clear() {
    if (is_shown_) out_ << "\r\x1b[K" << std::flush;
    is_shown_ = false;
}

}  // namespace squenv::cli
