// SPDX-License-Identifier: MIT
#include "mount/answer.h"

#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "mount/live_statistics.h"

namespace squenv::mount {

namespace {

/// Answers of this program are three levels deep; a later version may add a few.
constexpr int kMaxDepth = 16;

const Answer* member_of(const Answer& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
}

}  // namespace

Result<Answer> parse_answer(const std::string& text) {
    if (is_shallow(text, kMaxDepth)) {
        Answer answer = Answer::parse(text, nullptr, false);
        if (answer.is_object()) return answer;
    }
    return fail(Errc::unsupported, "does not answer properly",
                "another program serves it, or another version of squenv");
}

Result<Answer> query_answer(const std::string& mountpoint, const system::MountEntry* entry) {
    SQUENV_TRY_ASSIGN(const auto text, query_statistics(mountpoint, kQueryTimeout, entry));
    auto answer = parse_answer(text);
    if (!answer) return with_context(answer.error(), mountpoint);
    return answer;
}

std::optional<std::uint64_t> number_in(const Answer& object, const char* key, std::uint64_t least,
                                       std::uint64_t most) {
    const Answer* member = member_of(object, key);
    if (member == nullptr || !member->is_number_unsigned()) return std::nullopt;
    const auto value = member->get<std::uint64_t>();
    if (value < least || value > most) return std::nullopt;
    return value;
}

std::optional<double> seconds_in(const Answer& object, const char* key) {
    const Answer* member = member_of(object, key);
    if (member == nullptr || !member->is_number()) return std::nullopt;
    const auto value = member->get<double>();
    if (!(value >= 0)) return std::nullopt;
    return value;
}

std::optional<std::string> text_in(const Answer& object, const char* key) {
    const Answer* member = member_of(object, key);
    if (member == nullptr || !member->is_string()) return std::nullopt;
    return member->get<std::string>();
}

bool is_set_in(const Answer& object, const char* key) {
    const Answer* member = member_of(object, key);
    return member != nullptr && member->is_boolean() && member->get<bool>();
}

const Answer& object_in(const Answer& object, const char* key) {
    static const Answer kNothing = Answer::object();
    const Answer* member = member_of(object, key);
    return member != nullptr && member->is_object() ? *member : kNothing;
}

}  // namespace squenv::mount
