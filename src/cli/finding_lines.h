// SPDX-License-Identifier: MIT
// Many findings in few lines: thousands of files can have the same fault, and hide the others.
#pragma once

#include <string>
#include <vector>

namespace squenv::cli {

/// The fault of one path, in words that are equal for all paths with that fault.
struct Fault {
    std::string path;
    std::string reason;
};

/// A line for each reason, in the order of first occurrence: "a, b, c and 359 more: REASON".
/// `is_complete` asks for a line for each path.
[[nodiscard]] std::vector<std::string> finding_lines(const std::vector<Fault>& faults,
                                                     bool is_complete);

}  // namespace squenv::cli
