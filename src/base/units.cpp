// SPDX-License-Identifier: MIT
#include "base/units.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <limits>

namespace squenv {

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
    std::uint64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || rest != end || value > max)
        return fail(Errc::invalid_argument,
                    fmt::format("'{}' is not a whole number from 0 to {}", text, max));
    return value;
}

Result<std::uint64_t> parse_size(std::string_view text) {
    std::string_view digits = text;
    if (digits.ends_with("iB"))
        digits.remove_suffix(2);
    else if (digits.ends_with("B"))
        digits.remove_suffix(1);
    std::uint64_t unit = 1;
    if (!digits.empty()) {
        switch (digits.back()) {
            case 'K':
            case 'k': unit = 1ULL << 10; break;
            case 'M':
            case 'm': unit = 1ULL << 20; break;
            case 'G':
            case 'g': unit = 1ULL << 30; break;
            case 'T':
            case 't': unit = 1ULL << 40; break;
            default: break;
        }
    }
    if (unit != 1) digits.remove_suffix(1);
    const auto number = parse_number(digits, std::numeric_limits<std::uint64_t>::max() / unit);
    if (!number)
        return fail(Errc::invalid_argument, fmt::format("'{}' is not a size", text),
                    "write bytes, or 64K, 32M, 1G");
    return *number * unit;
}

Result<std::int64_t> parse_age(std::string_view text) {
    constexpr std::uint64_t kMost = 1'000'000;
    const auto seconds_of = [](char unit) -> std::int64_t {
        switch (unit) {
            case 's': return 1;
            case 'm': return 60;
            case 'h': return 3'600;
            case 'd': return 86'400;
            case 'w': return 604'800;
            default: return 0;
        }
    };
    const std::int64_t unit = text.empty() ? 0 : seconds_of(text.back());
    const auto number = parse_number(text.substr(0, text.size() - (unit == 0 ? 0 : 1)), kMost);
    if (unit == 0 || !number)
        return fail(Errc::invalid_argument, fmt::format("'{}' is not an age", text),
                    "write a number and s, m, h, d or w, as in 30d");
    return static_cast<std::int64_t>(*number) * unit;
}

std::string format_size(std::uint64_t size_bytes) {
    static constexpr std::array<const char*, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (size_bytes < 1024) return fmt::format("{} B", size_bytes);
    auto value = static_cast<double>(size_bytes) / 1024.0;
    std::size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < kUnits.size()) {
        value /= 1024.0;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace squenv
