// SPDX-License-Identifier: MIT
#include "run/refusals.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace squenv::run {

namespace {

/// A newline in a name must not look like one of the text. Written as on the command line.
std::string one_line(const std::string& text) {
    std::string line;
    for (const char c : text) line += c == '\n' ? std::string("\\x0a") : std::string(1, c);
    return line;
}

/// A reason and the methods that have it.
struct Line {
    std::vector<std::string> ways{};
    std::string reason{};
};

void add_unless_there(std::vector<std::string>& list, std::string text) {
    if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
}

}  // namespace

std::string refusal_text(const std::string& subject, const std::vector<Refusal>& refusals,
                         const std::string& last) {
    std::vector<Line> lines;
    std::vector<std::string> mends;
    for (const auto& [way, error] : refusals) {
        Error reason = error;
        const std::string mend = std::exchange(reason.hint, {});
        const std::string text = one_line(reason.message());
        auto line = std::find_if(lines.begin(), lines.end(),
                                 [&text](const Line& other) { return other.reason == text; });
        if (line == lines.end()) line = lines.insert(lines.end(), Line{{}, text});
        add_unless_there(line->ways, way);
        if (!mend.empty()) add_unless_there(mends, one_line(mend));
    }
    std::string text = one_line(subject);
    const auto add_line = [&text](const std::string& line) {
        text += kNextLine;
        text += line;
    };
    for (const auto& line : lines)
        add_line(fmt::format("{}: {}", fmt::join(line.ways, ", "), line.reason));
    for (const auto& mend : mends) add_line("what would help: " + mend);
    add_line(one_line(last));
    return text;
}

}  // namespace squenv::run
