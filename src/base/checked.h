// SPDX-License-Identifier: MIT
// Arithmetic on numbers from an image: nothing wraps unnoticed.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace squenv {

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
    if (a > std::numeric_limits<std::uint64_t>::max() - b) return std::nullopt;
    return a + b;
}

/// ceil(a / b) without the overflow of (a + b - 1) / b. `b` is not 0.
[[nodiscard]] constexpr std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) {
    return a / b + (a % b != 0 ? 1 : 0);
}

/// True when [position, position + length) lies inside [0, end).
[[nodiscard]] constexpr bool fits(std::uint64_t position, std::uint64_t length, std::uint64_t end) {
    return length <= end && position <= end - length;
}

}  // namespace squenv
