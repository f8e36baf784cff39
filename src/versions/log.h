// SPDX-License-Identifier: MIT
// The log of versions: lines of JSON, to which lines are added and nothing else is done.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_identity.h"
#include "base/result.h"
#include "versions/versions.h"

namespace squenv::versions {

/// A version as the log has it.
struct Entry {
    std::uint64_t number = 0;
    std::int64_t time = 0;
    std::uint64_t size_bytes = 0;
    std::int64_t mtime_ns = 0;  ///< of the file; with the size it tells files apart
    std::string digest{};
    Origin origin{};
    std::string user{};
};

struct Log {
    std::vector<Entry> entries{};  ///< in the order of the file
    std::set<std::uint64_t> pinned{};

    /// The last entry of that number; null without one.
    [[nodiscard]] const Entry* of(std::uint64_t number) const;
};

/// Lines that are damaged or of another kind, and members that are not known, are passed over.
[[nodiscard]] Log parse_log(std::string_view text);
/// Empty when there is none. Errors: denied, io.
[[nodiscard]] Result<Log> read_log(const std::string& path);

[[nodiscard]] std::string line_of(const Entry& entry);
[[nodiscard]] std::string pin_line(std::uint64_t number, bool is_pinned, std::int64_t time);

/// Adds a line in one write, after what is there, whatever that ends with.
/// Errors: denied, limit (disk full), io.
[[nodiscard]] Status append_line(int log, const std::string& path, std::string line);

}  // namespace squenv::versions
