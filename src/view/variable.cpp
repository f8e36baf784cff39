// SPDX-License-Identifier: MIT
#include "view/variable.h"

#include <algorithm>
#include <set>
#include <utility>

namespace squenv::view {

namespace {

/// The kernel gives no program a longer NAME=VALUE: MAX_ARG_STRLEN of 32 pages, with its NUL.
constexpr std::size_t kMaxVariable = (128U << 10) - 1;

constexpr std::string_view kBegin = "${@";
constexpr std::string_view kEnd = "@}";

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::vector<std::string> split_list(const std::string& text) {
    std::vector<std::string> entries;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(':', begin), text.size());
        if (end > begin) entries.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return entries;
}

Status set_variable(Applied& applied, const std::string& name, const std::string& text) {
    auto value = expand(text, applied.variables, applied.notes);
    if (!value) return with_context(value.error(), name);
    if (name.size() + 1 + value->size() > kMaxVariable)
        return fail(Errc::limit, name + ": the value is longer than 128 KiB");
    applied.variables[name] = std::move(*value);
    return {};
}

}  // namespace

bool is_variable_name(std::string_view name) {
    return !name.empty() && is_letter(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return is_letter(c) || is_digit(c); });
}

Result<std::string> expand(std::string_view text, const Variables& variables,
                           std::vector<std::string>& notes) {
    std::string expanded;
    while (!text.empty()) {
        const std::size_t begin = std::min(text.find(kBegin), text.size());
        expanded += text.substr(0, begin);
        text.remove_prefix(begin);
        if (text.empty()) break;
        text.remove_prefix(kBegin.size());
        const std::size_t end = text.find(kEnd);
        if (end == std::string_view::npos) {
            notes.emplace_back("a ${@ without @} is left out");
            break;
        }
        const std::string name(text.substr(0, end));
        text.remove_prefix(end + kEnd.size());
        const auto found = variables.find(name);
        if (is_variable_name(name) && found != variables.end())
            expanded += found->second;
        else
            notes.push_back("${@" + name + "@} is not set and counts as empty");
        if (expanded.size() > kMaxVariable)
            return fail(Errc::limit, "the value is longer than 128 KiB");
    }
    return expanded;
}

std::optional<std::string> updated_list(const std::string& before,
                                        const std::vector<ListUpdate>& updates) {
    std::vector<std::string> entries = split_list(before);
    bool is_set = true;
    for (const ListUpdate& update : updates) {
        const auto& values = update.values;
        is_set = update.kind != ListUpdate::Kind::unset;
        switch (update.kind) {
            case ListUpdate::Kind::set: entries = values; break;
            case ListUpdate::Kind::prepend:
                entries.insert(entries.begin(), values.begin(), values.end());
                break;
            case ListUpdate::Kind::append:
                entries.insert(entries.end(), values.begin(), values.end());
                break;
            case ListUpdate::Kind::unset: entries.clear(); break;
        }
    }
    if (!is_set) return std::nullopt;
    std::set<std::string_view> seen;
    std::string joined;
    for (const std::string& entry : entries) {
        if (entry.empty() || !seen.insert(entry).second) continue;
        if (!joined.empty()) joined += ':';
        joined += entry;
    }
    return joined;
}

Result<Applied> apply_patch(const Patch& patch, Variables variables) {
    Applied applied{std::move(variables), {}};
    for (const auto& [name, value] : patch.scalars) {
        if (!is_variable_name(name)) continue;
        if (value)
            SQUENV_TRY(set_variable(applied, name, *value));
        else
            applied.variables.erase(name);
    }
    for (const auto& [name, updates] : patch.lists) {
        if (!is_variable_name(name)) continue;
        const auto found = applied.variables.find(name);
        const auto value =
            updated_list(found != applied.variables.end() ? found->second : "", updates);
        if (value)
            SQUENV_TRY(set_variable(applied, name, *value));
        else
            applied.variables.erase(name);
    }
    return applied;
}

}  // namespace squenv::view
