// SPDX-License-Identifier: MIT
#include "versions/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "base/unique_fd.h"
#include "versions/place.h"
#include "versions/refusal.h"

namespace squenv::versions {

namespace {

using Json = nlohmann::ordered_json;

/// The lines of this program have one level.
constexpr int kMostDepth = 8;

std::string text_in(const Json& line, const char* key) {
    const auto member = line.find(key);
    return member != line.end() && member->is_string() ? member->get<std::string>() : "";
}

template <class Number>
Number number_in(const Json& line, const char* key) {
    const auto member = line.find(key);
    return member != line.end() && member->is_number_integer() ? member->get<Number>() : 0;
}

void take_line(std::string_view text, Log& log) {
    if (!is_shallow(text, kMostDepth)) return;
    const Json line = Json::parse(text, nullptr, false);
    if (!line.is_object()) return;
    const auto number =
        parse_version_number(std::to_string(number_in<std::uint64_t>(line, "number")));
    if (!number) return;
    if (const auto pinned = line.find("pinned"); pinned != line.end()) {
        if (!pinned->is_boolean()) return;
        if (pinned->get<bool>())
            log.pinned.insert(*number);
        else
            log.pinned.erase(*number);
        return;
    }
    log.entries.push_back({*number,
                           number_in<std::int64_t>(line, "time"),
                           number_in<std::uint64_t>(line, "size"),
                           number_in<std::int64_t>(line, "mtime_ns"),
                           text_in(line, "digest"),
                           {text_in(line, "verb"), text_in(line, "command"),
                            number_in<std::uint64_t>(line, "parent")},
                           text_in(line, "user")});
}

std::string dumped(const Json& line) {
    return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Whether a line must be ended first, because a process died in the middle of it.
bool is_torn(int log) {
    struct stat info {};
    char last = '\n';
    if (::fstat(log, &info) != 0 || info.st_size == 0) return false;
    return ::pread(log, &last, 1, info.st_size - 1) == 1 && last != '\n';
}

}  // namespace

const Entry* Log::of(std::uint64_t number) const {
    const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                    [&](const Entry& entry) { return entry.number == number; });
    return found == entries.rend() ? nullptr : &*found;
}

Log parse_log(std::string_view text) {
    Log log;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        take_line(line, log);
    }
    return log;
}

Result<Log> read_log(const std::string& path) {
    auto opened = open_regular_file(path, O_RDONLY);
    if (!opened && opened.error().sys_errno == ENOENT) return Log{};
    if (!opened) return tl::unexpected(opened.error());
    std::string text;
    std::string piece(1U << 16, '\0');
    for (;;) {
        const ssize_t size = ::read(opened->get(), piece.data(), piece.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(errno, path);
        if (size == 0) return parse_log(text);
        text.append(piece, 0, static_cast<std::size_t>(size));
    }
}

std::string line_of(const Entry& entry) {
    return dumped({{"number", entry.number},
                   {"time", entry.time},
                   {"size", entry.size_bytes},
                   {"mtime_ns", entry.mtime_ns},
                   {"digest", entry.digest},
                   {"verb", entry.origin.verb},
                   {"command", entry.origin.command},
                   {"parent", entry.origin.parent},
                   {"user", entry.user}});
}

std::string pin_line(std::uint64_t number, bool is_pinned, std::int64_t time) {
    return dumped({{"number", number}, {"pinned", is_pinned}, {"time", time}});
}

Status append_line(int log, const std::string& path, std::string line) {
    line += '\n';
    if (is_torn(log)) line.insert(line.begin(), '\n');
    ssize_t written = 0;
    do {
        written = ::write(log, line.data(), line.size());
    } while (written < 0 && errno == EINTR);
    if (written < 0) return refused(errno, path);
    if (static_cast<std::size_t>(written) != line.size()) return refused(ENOSPC, path);
    return {};
}

}  // namespace squenv::versions
