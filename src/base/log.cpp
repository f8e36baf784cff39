// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <ctime>
#include <mutex>
#include <string_view>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/text.h"

namespace squenv::log {

namespace {

constexpr const char* kName = "squenv";

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warning: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

/// Messages before the choice of a destination are dropped. spdlog's own first logger would write
/// to stdout, among the results.
spdlog::logger* chosen_logger() {
    auto* logger = spdlog::default_logger_raw();
    return logger != nullptr && logger->name() == kName ? logger : nullptr;
}

/// Appends to an open file that programs started later do not inherit. spdlog's own sink opens the
/// file itself, inheritably.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit FileSink(UniqueFd file) : file_(std::move(file)) {}

  private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        // A full disk must not stop the daemon.
        (void)write_all(file_.get(), as_bytes(std::string_view(line.data(), line.size())));
    }
    void flush_() override {}

    UniqueFd file_;
};

tl::unexpected<Error> log_denied(int sys_errno, const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
    return fail_errno(
        sys_errno, "log " + path,
        (sys_errno == ENOENT ? "create it with 'mkdir -p " + directory + "', or " : "") +
            "choose another --log destination");
}

void prepare(spdlog::logger& logger, Level threshold) {
    // A daemon may not read /etc/localtime later: it is sandboxed, or the file is in its own mount.
    ::tzset();
    logger.set_level(to_spdlog(threshold));
    logger.flush_on(spdlog::level::debug);
}

}  // namespace

void Destination::use() {
    spdlog::set_default_logger(std::move(logger_));
}

Result<Destination> open(const std::string& destination, Level threshold) {
    std::shared_ptr<spdlog::logger> logger;
    try {
        if (destination == "stderr") {
            logger = std::make_shared<spdlog::logger>(
                kName, std::make_shared<spdlog::sinks::stderr_sink_mt>());
            logger->set_pattern("squenv: %l: %v");
        } else if (destination == "syslog") {
            logger = std::make_shared<spdlog::logger>(
                kName, std::make_shared<spdlog::sinks::syslog_sink_mt>(
                           "squenv", LOG_PID | LOG_NDELAY, LOG_USER, false));
        } else {
            auto file = open_file(destination, O_WRONLY | O_CREAT | O_APPEND, 0666);
            if (!file) return log_denied(file.error().sys_errno, destination);
            return adopt(std::move(*file), threshold);
        }
    } catch (const spdlog::spdlog_ex& exception) {
        return fail(Errc::denied, fmt::format("log {}: {}", destination, exception.what()),
                    "choose another --log destination");
    }
    prepare(*logger, threshold);
    return Destination(std::move(logger));
}

Destination adopt(UniqueFd file, Level threshold) {
    const int descriptor = file.get();
    auto logger =
        std::make_shared<spdlog::logger>(kName, std::make_shared<FileSink>(std::move(file)));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z squenv[%P] %l: %v");
    prepare(*logger, threshold);
    return Destination(std::move(logger), descriptor);
}

Status start(const std::string& destination, Level threshold) {
    SQUENV_TRY_ASSIGN(auto opened, open(destination, threshold));
    opened.use();
    return {};
}

void stop() {
    spdlog::shutdown();
}

bool enabled(Level level) {
    const auto* logger = chosen_logger();
    return logger != nullptr && logger->should_log(to_spdlog(level));
}

void write(Level level, std::string_view text) {
    if (auto* logger = chosen_logger(); logger != nullptr)
        logger->log(to_spdlog(level), "{}", printable(text));
}

bool RateLimit::allow(std::uint64_t& suppressed) {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                         std::chrono::steady_clock::now().time_since_epoch())
                         .count();
    auto start = window_start_.load();
    if (now - start >= window_.count() && window_start_.compare_exchange_strong(start, now))
        in_window_ = 0;
    if (in_window_.fetch_add(1) >= burst_) {
        suppressed_.fetch_add(1);
        return false;
    }
    suppressed = suppressed_.exchange(0);
    return true;
}

}  // namespace squenv::log
