// SPDX-License-Identifier: MIT
#include "pack/exclude.h"

#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <span>

namespace squenv::pack {

namespace {

/// The first name of `path`, which loses it and the slashes around it; empty at the end.
std::string_view take_name(std::string_view& path) {
    const auto skip_slashes = [&path] {
        path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    };
    skip_slashes();
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    skip_slashes();
    return name;
}

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> names;
    for (auto name = take_name(path); !name.empty(); name = take_name(path))
        names.emplace_back(name);
    return names;
}

/// How far one pattern matches the names of a path that come one after the other. The cost of a
/// name is that of the pattern, however many came before.
class Match {
  public:
    explicit Match(std::span<const std::string> pattern)
        : pattern_(pattern), reached_(pattern.size() + 1, false), next_(pattern.size() + 1, false) {
        reached_[0] = true;
        // In front of another pattern "**" may stand for nothing.
        for (std::size_t i = 0; i + 1 < pattern_.size() && pattern_[i] == "**"; ++i)
            reached_[i + 1] = true;
    }

    void add(const std::string& name) {
        next_[0] = false;
        for (std::size_t i = 0; i < pattern_.size(); ++i) {
            if (pattern_[i] != "**") {
                next_[i + 1] = reached_[i] && ::fnmatch(pattern_[i].c_str(), name.c_str(), 0) == 0;
                continue;
            }
            // At the end "**" means everything inside, so at least one name.
            const bool is_last = i + 1 == pattern_.size();
            next_[i + 1] = reached_[i] || reached_[i + 1] || (next_[i] && !is_last);
        }
        reached_.swap(next_);
    }

    [[nodiscard]] bool is_complete() const { return reached_.back(); }

  private:
    std::span<const std::string> pattern_;
    std::vector<bool> reached_;  ///< [i]: the first i patterns can match all names so far
    std::vector<bool> next_;     ///< what becomes of it
};

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

bool ExcludeList::decide(std::string_view path, bool is_directory, bool looks_above) const {
    if (rules_.empty()) return false;
    std::vector<Match> states;
    states.reserve(rules_.size());
    for (const Rule& rule : rules_) states.emplace_back(rule.segments);
    const auto is_out = [&](bool as_directory) {
        for (std::size_t i = rules_.size(); i-- > 0;)
            if ((as_directory || !rules_[i].is_directory_only) && states[i].is_complete())
                return !rules_[i].is_negated;
        return false;
    };
    for (std::string name(take_name(path)); !name.empty(); name = take_name(path)) {
        for (Match& state : states) state.add(name);
        if (path.empty()) return is_out(is_directory);
        if (looks_above && is_out(true)) return true;
    }
    return false;
}

bool ExcludeList::matches(const std::string& path, bool is_directory) const {
    return decide(path, is_directory, false);
}

bool ExcludeList::covers(std::string_view path, bool is_directory) const {
    return decide(path, is_directory, true);
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
