// SPDX-License-Identifier: MIT
#include "cli/finding_lines.h"

#include <fmt/core.h>

#include <cstddef>
#include <unordered_map>

#include "base/text.h"

namespace squenv::cli {

namespace {

/// Enough to show what kind of files is affected.
constexpr std::size_t kMostNames = 3;

struct Group {
    std::string names;
    std::string reason;
    std::size_t count = 0;
};

std::string line_of(const Group& group) {
    const std::string reason = printable(group.reason);
    if (group.count <= kMostNames) return fmt::format("{}: {}", group.names, reason);
    return fmt::format("{} and {} more: {}", group.names, group.count - kMostNames, reason);
}

}  // namespace

std::vector<std::string> finding_lines(const std::vector<Fault>& faults, bool is_complete) {
    std::vector<Group> groups;
    std::unordered_map<std::string, std::size_t> by_reason;
    for (const Fault& fault : faults) {
        const auto [place, is_new] = by_reason.emplace(fault.reason, groups.size());
        if (is_new || is_complete) {
            groups.push_back({printable(fault.path), fault.reason, 1});
            continue;
        }
        Group& group = groups[place->second];
        if (++group.count <= kMostNames) group.names += ", " + printable(fault.path);
    }
    std::vector<std::string> lines;
    for (const Group& group : groups) lines.push_back(line_of(group));
    return lines;
}

}  // namespace squenv::cli
