// SPDX-License-Identifier: MIT
// The log: one sink per process, chosen by the program. Libraries below never log above debug.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spdlog {
class logger;
}

namespace squenv::log {

enum class Level { debug, info, warning, error };

/// A log that is open and not in use yet.
class Destination {
  public:
    Destination() = default;
    /// The log goes there from now on.
    void use();
    /// Of a file, for a process that adopts it, while the log goes there or this exists; else -1.
    [[nodiscard]] int descriptor() const { return descriptor_; }

  private:
    friend Result<Destination> open(const std::string& destination, Level threshold);
    friend Destination adopt(UniqueFd file, Level threshold);
    explicit Destination(std::shared_ptr<spdlog::logger> logger, int descriptor = -1)
        : logger_(std::move(logger)), descriptor_(descriptor) {}
    std::shared_ptr<spdlog::logger> logger_{};
    int descriptor_ = -1;
};

/// Opens "stderr", "syslog", or the path of a file that is appended to. Its directory must exist.
/// No file is opened later, neither by use() nor by a message. Errors: of open(2).
[[nodiscard]] Result<Destination> open(const std::string& destination, Level threshold);

/// The same of a file that another process has opened for it.
[[nodiscard]] Destination adopt(UniqueFd file, Level threshold);

/// Opens and uses it. A second call continues elsewhere. Errors: of open().
[[nodiscard]] Status start(const std::string& destination, Level threshold);
/// Writes out what is buffered and closes the sink.
void stop();
[[nodiscard]] bool enabled(Level level);
/// One line, whatever is in `text`: names come from images and from other users, and a newline or
/// an escape sequence in one must not write lines of its own. See base/text.h.
void write(Level level, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::debug))
        write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

/// Lets `burst` messages through per `window` and counts the rest. Thread-safe.
class RateLimit {
  public:
    RateLimit(unsigned burst, std::chrono::seconds window) : burst_(burst), window_(window) {}
    /// True when this message may be written. `suppressed` is then the number dropped since the
    /// last one.
    [[nodiscard]] bool allow(std::uint64_t& suppressed);

  private:
    const unsigned burst_;
    const std::chrono::seconds window_;
    std::atomic<std::int64_t> window_start_{0};
    std::atomic<unsigned> in_window_{0};
    std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace squenv::log
