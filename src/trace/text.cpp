// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "trace/trace.h"

namespace squenv::trace {

namespace {

constexpr std::string_view kFirstLine = "squenv-trace 1";
constexpr std::string_view kLastLine = "end";
constexpr std::array<std::pair<Use, std::string_view>, 5> kUses{{{Use::look, "look"},
                                                                 {Use::list, "list"},
                                                                 {Use::link, "link"},
                                                                 {Use::read, "read"},
                                                                 {Use::miss, "miss"}}};

std::string_view word_of(Use use) {
    for (const auto& [known, word] : kUses)
        if (known == use) return word;
    return "look";
}

std::optional<Use> use_of(std::string_view word) {
    for (const auto& [use, known] : kUses)
        if (known == word) return use;
    return std::nullopt;
}

/// The next word of `line`, which loses it and the blank after it.
std::string_view take_word(std::string_view& line) {
    const auto blank = line.find(' ');
    const std::string_view word = line.substr(0, blank);
    line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
    return word;
}

bool take_number(std::string_view& line, std::uint64_t& value) {
    const std::string_view word = take_word(line);
    const char* end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, value);
    return error == std::errc{} && rest == end && !word.empty();
}

/// A place in a file never ends beyond what a file can have.
bool is_range(std::uint64_t offset, std::uint64_t size) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return offset <= kMax && size <= kMax - offset;
}

bool unescape(std::string_view text, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
        // No path has a NUL in it, written as it is or as "\000".
        if (text[i] == '\0') return false;
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        if (text.size() - i < 4) return false;
        unsigned value = 0;
        for (std::size_t digit = 1; digit <= 3; ++digit) {
            if (text[i + digit] < '0' || text[i + digit] > '7') return false;
            value = value * 8 + static_cast<unsigned>(text[i + digit] - '0');
        }
        if (value == 0 || value > 0xFF) return false;
        out += static_cast<char>(value);
        i += 3;
    }
    return !out.empty();
}

bool parse_slow(std::string_view line, Trace& trace) {
    SlowRequest slow;
    if (!take_number(line, slow.microseconds)) return false;
    slow.kind = take_word(line);
    if (!take_number(line, slow.offset) || !take_number(line, slow.size_bytes) ||
        !is_range(slow.offset, slow.size_bytes) || !unescape(line, slow.path))
        return false;
    if (trace.slowest.size() < kMaxSlow) trace.slowest.push_back(std::move(slow));
    return true;
}

bool parse_line(std::string_view line, Trace& trace) {
    const std::string_view word = take_word(line);
    if (word == "full") return trace.is_full = line.empty();
    if (word == "slow") return parse_slow(line, trace);
    if (word == "requests") {
        const std::string kind(take_word(line));
        std::uint64_t count = 0;
        if (kind.empty() || !take_number(line, count) || !line.empty()) return false;
        trace.requests[kind] += count;
        return true;
    }
    const auto use = use_of(word);
    if (!use) return false;
    Item item;
    item.use = *use;
    if (item.use == Use::read &&
        (!take_number(line, item.offset) || !take_number(line, item.size_bytes) ||
         !is_range(item.offset, item.size_bytes)))
        return false;
    if (!unescape(line, item.path)) return false;
    trace.items.push_back(std::move(item));
    return true;
}

}  // namespace

std::string escaped(std::string_view path) {
    std::string out;
    out.reserve(path.size());
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F || c == '\\')
            out += fmt::format("\\{:03o}", byte);
        else
            out += c;
    }
    return out;
}

std::string encode(const Trace& trace) {
    std::string out(kFirstLine);
    out += '\n';
    for (const auto& [kind, count] : trace.requests)
        out += fmt::format("requests {} {}\n", kind, count);
    for (const SlowRequest& slow : trace.slowest)
        out += fmt::format("slow {} {} {} {} {}\n", slow.microseconds, slow.kind, slow.offset,
                           slow.size_bytes, escaped(slow.path));
    if (trace.is_full) out += "full\n";
    for (const Item& item : trace.items) {
        if (item.use == Use::read)
            out += fmt::format("read {} {} {}\n", item.offset, item.size_bytes, escaped(item.path));
        else
            out += fmt::format("{} {}\n", word_of(item.use), escaped(item.path));
    }
    out += kLastLine;
    out += '\n';
    return out;
}

Result<Trace> parse(std::string_view text) {
    Trace trace;
    bool is_ended = false;
    for (std::uint64_t number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (number == 1) {
            if (line != kFirstLine) return fail(Errc::corrupt, "not a trace");
            continue;
        }
        if (line.empty() || line.front() == '#') continue;
        if (is_ended || (line != kLastLine && !parse_line(line, trace)))
            return fail(Errc::corrupt, fmt::format("line {}: not a line of a trace", number));
        is_ended = line == kLastLine;
    }
    if (!is_ended)
        return fail(
            Errc::corrupt, "the trace has no end",
            "a mount writes it when it is unmounted, if the disk has room; record it again");
    return trace;
}

}  // namespace squenv::trace
