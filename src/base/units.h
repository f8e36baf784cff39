// SPDX-License-Identifier: MIT
// Sizes in their human-readable form, parsed and formatted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace squenv {

/// "4096", "128K", "32M", "1G", with optional "iB" or "B": bytes, powers of 1024.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// "90s", "15m", "12h", "30d" or "8w": seconds.
[[nodiscard]] Result<std::int64_t> parse_age(std::string_view text);
/// A decimal number in [0, max].
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max);
/// 213600000 -> "203.7 MiB".
[[nodiscard]] std::string format_size(std::uint64_t size_bytes);

}  // namespace squenv
