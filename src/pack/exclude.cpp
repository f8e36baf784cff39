// SPDX-License-Identifier: MIT
#include "pack/exclude.h"

#include <fnmatch.h>

#include <cerrno>
#include <fstream>
#include <span>

namespace squenv::pack {

namespace {

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> segments;
    while (!path.empty()) {
        const auto slash = path.find('/');
        if (slash != 0) segments.emplace_back(path.substr(0, slash));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return segments;
}

/// Rows of the usual table instead of recursion: the cost is bounded by pattern times path.
bool matches_segments(std::span<const std::string> pattern, std::span<const std::string> path) {
    // reachable[j]: the patterns so far can match the first j segments of the path.
    std::vector<bool> reachable(path.size() + 1, false);
    reachable[0] = true;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        std::vector<bool> next(path.size() + 1, false);
        const bool is_last = i + 1 == pattern.size();
        if (pattern[i] == "**") {
            bool seen = false;
            for (std::size_t j = 0; j <= path.size(); ++j) {
                // At the end "**" means everything inside, so at least one segment.
                next[j] = seen || (reachable[j] && !is_last);
                seen = seen || reachable[j];
            }
        } else {
            for (std::size_t j = 0; j < path.size(); ++j)
                if (reachable[j] && ::fnmatch(pattern[i].c_str(), path[j].c_str(), 0) == 0)
                    next[j + 1] = true;
        }
        reachable = std::move(next);
    }
    return reachable[path.size()];
}

/// Trailing spaces do not count unless the last one is escaped.
std::string_view trimmed(std::string_view line) {
    while (line.ends_with('\r') || line.ends_with('\n')) line.remove_suffix(1);
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    return line;
}

}  // namespace

ExcludeList::ExcludeList(const std::vector<std::string>& patterns) {
    for (const std::string& line : patterns) {
        std::string_view text = trimmed(line);
        if (text.empty() || text.starts_with('#')) continue;
        Rule rule;
        if (text.starts_with('!')) {
            rule.is_negated = true;
            text.remove_prefix(1);
        }
        if (text.ends_with('/')) {
            rule.is_directory_only = true;
            while (text.ends_with('/')) text.remove_suffix(1);
        }
        const bool is_anchored = text.find('/') != std::string_view::npos;
        rule.segments = split(text);
        if (rule.segments.empty()) continue;
        if (!is_anchored) rule.segments.insert(rule.segments.begin(), "**");
        rules_.push_back(std::move(rule));
    }
}

bool ExcludeList::matches(const std::string& path, bool is_directory) const {
    if (rules_.empty()) return false;
    const auto segments = split(path);
    for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
        if (rule->is_directory_only && !is_directory) continue;
        if (matches_segments(rule->segments, segments)) return !rule->is_negated;
    }
    return false;
}

Result<std::vector<std::string>> read_exclude_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return fail_errno(errno != 0 ? errno : EIO, path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    if (file.bad()) return fail(Errc::io, path + ": cannot be read");
    return lines;
}

}  // namespace squenv::pack
