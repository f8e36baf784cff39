// SPDX-License-Identifier: MIT
// What a program touched of a tree, in the order in which it touched it first. Paths, not numbers,
// so that a trace of one image serves for every other image of the same tree.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "squenv/touch.h"

namespace squenv::trace {

using Use = Touch::Use;
/// In a trace each is the first one of its kind.
using Item = Touch;

/// A request that took long.
struct SlowRequest {
    std::uint64_t microseconds = 0;
    std::string kind;  ///< "read", "lookup", ...
    std::uint64_t offset = 0;
    std::uint64_t size_bytes = 0;
    std::string path;
    bool operator==(const SlowRequest&) const = default;
};

struct Trace {
    std::vector<Item> items;
    std::map<std::string, std::uint64_t> requests;  ///< how many of each kind
    std::vector<SlowRequest> slowest;               ///< slowest first, at most kMaxSlow
    bool is_full = false;                           ///< more was touched than a recorder keeps
    bool operator==(const Trace&) const = default;
};

inline constexpr std::size_t kMaxSlow = 16;

/// The text that squenv-trace(5) documents.
[[nodiscard]] std::string encode(const Trace& trace);
/// Errors: corrupt, naming the line.
[[nodiscard]] Result<Trace> parse(std::string_view text);

/// Reads the file at `path`. Errors: busy while a mount still records into it, corrupt, and those
/// of opening and reading.
[[nodiscard]] Result<Trace> load(const std::string& path);

/// The items of `first`, then what only `second` touched, each in its order; counts are added.
[[nodiscard]] Trace merge(const Trace& first, const Trace& second);

/// `path` as it stands in a trace: control characters and backslashes as "\ooo".
[[nodiscard]] std::string escaped(std::string_view path);

}  // namespace squenv::trace
