// SPDX-License-Identifier: MIT
#include "label/label.h"

#include <algorithm>

namespace squenv::label {

namespace {

constexpr std::size_t kFewestDigits = 4;

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view text) {
    return !text.empty() && text.front() != '-' && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
           });
}

/// The part of `text` after `mark`, up to another mark, goes to `part`. False for a second one.
bool take_part(std::string_view& text, char mark, std::string& part) {
    if (!text.starts_with(mark)) return true;
    if (!part.empty()) return false;
    text.remove_prefix(1);
    part = text.substr(0, text.find_first_of("/:@%"));
    text.remove_prefix(part.size());
    return is_name(part) || (mark == '@' && part == "*");
}

}  // namespace

Result<Label> parse_label(std::string_view text) {
    Label label;
    std::string_view rest = text;
    label.name = rest.substr(0, rest.find_first_of("/:@%"));
    rest.remove_prefix(label.name.size());
    bool is_right =
        (label.name.empty() ? !text.empty() && text.front() != '/' : is_name(label.name));
    is_right = is_right && take_part(rest, '/', label.version) && take_part(rest, ':', label.tag);
    for (int i = 0; i < 2; ++i)
        is_right =
            is_right && take_part(rest, '@', label.system) && take_part(rest, '%', label.uarch);
    if (is_right && rest.empty()) return label;
    return fail(Errc::invalid_argument, "'" + std::string(text) + "' is no label of a uenv",
                "write NAME[/VERSION][:TAG][@SYSTEM][%UARCH]");
}

std::string text_of(const Label& label) {
    const auto part = [](char mark, const std::string& text) {
        return text.empty() ? std::string() : mark + text;
    };
    return label.name + part('/', label.version) + part(':', label.tag) + part('@', label.system) +
           part('%', label.uarch);
}

bool Label::may_be_digest() const {
    return version.empty() && tag.empty() && uarch.empty() && is_digest_begin(name);
}

bool is_digest_begin(std::string_view text) {
    return text.size() >= kFewestDigits && text.size() <= kDigestDigits &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace squenv::label
