// SPDX-License-Identifier: MIT
#include "cli/shell_words.h"

#include "base/shell_word.h"

namespace squenv::cli {

namespace {

/// In quotes of fish, a backslash escapes itself and the quote.
std::string fish_word(const std::string& text) {
    std::string word = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') word += '\\';
        word += c;
    }
    return word + "'";
}

}  // namespace

std::string shell_line(const std::string& name, const std::optional<std::string>& value) {
    return value ? "export " + name + '=' + shell_word(*value) + '\n' : "unset " + name + '\n';
}

std::string fish_line(const std::string& name, const std::optional<std::string>& value) {
    if (!value) return "set -e " + name + '\n';
    const bool is_list = name.ends_with("PATH") && !value->empty();
    return "set -gx " + name + ' ' +
           (is_list ? "(string split : -- " + fish_word(*value) + ')' : fish_word(*value)) + '\n';
}

}  // namespace squenv::cli
