// SPDX-License-Identifier: MIT
// Reads what a mount reports about itself. Any user can serve a mount that claims to be of this
// program and answers anything. So a member counts only with the type and in the range that it must
// have, and nothing here throws.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "system/mount_table.h"

namespace squenv::mount {

/// Members in the order of the answer.
using Answer = nlohmann::ordered_json;

/// The largest process id of a daemon: PID_MAX_LIMIT of Linux.
inline constexpr std::uint64_t kMaxPid = 1U << 22;

/// Errors: unsupported (no JSON object, or one nested more deeply than those of this program).
[[nodiscard]] Result<Answer> parse_answer(const std::string& text);

/// What the mount at `mountpoint` answers within kQueryTimeout. Errors: those of query_statistics()
/// and parse_answer().
[[nodiscard]] Result<Answer> query_answer(const std::string& mountpoint,
                                          const system::MountEntry* entry = nullptr);

// Nothing when `object` is no object, has no such member, or one of another type or range.
[[nodiscard]] std::optional<std::uint64_t> number_in(const Answer& object, const char* key,
                                                     std::uint64_t least = 0,
                                                     std::uint64_t most = ~std::uint64_t{0});
/// Not negative.
[[nodiscard]] std::optional<double> seconds_in(const Answer& object, const char* key);
[[nodiscard]] std::optional<std::string> text_in(const Answer& object, const char* key);
[[nodiscard]] bool is_set_in(const Answer& object, const char* key);
/// The member, or an empty object instead of nothing.
[[nodiscard]] const Answer& object_in(const Answer& object, const char* key);

}  // namespace squenv::mount
