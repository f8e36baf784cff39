// SPDX-License-Identifier: MIT
// What a uenv says about itself in meta/env.json: its name, where it belongs, and its views. A view
// is a named set of changes of environment variables. The text is hostile input.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace squenv::view {

/// One change of a variable that is a list, separated by colons.
struct ListUpdate {
    enum class Kind { set, prepend, append, unset };
    Kind kind = Kind::set;
    std::vector<std::string> values{};
    bool operator==(const ListUpdate&) const = default;
};

/// Changes of variables. A name in both tables is changed as a scalar first, then as a list.
struct Patch {
    std::map<std::string, std::optional<std::string>> scalars{};  ///< without a value: removed
    std::map<std::string, std::vector<ListUpdate>> lists{};

    /// Adds what comes after this: a later scalar replaces, later updates of a list are appended.
    void merge(const Patch& later);
    /// Every name that it may change, sorted, without the names that are none of a variable.
    [[nodiscard]] std::vector<std::string> names() const;
};

struct View {
    std::string description{};
    Patch patch{};
    bool has_script_only = false;  ///< of the time when views were scripts: changes nothing
};

struct Metadata {
    std::string name = "unnamed";
    std::string description{};
    std::string mount{};         ///< the absolute path that every path in it is about
    std::string default_view{};  ///< "" is none
    std::map<std::string, View> views{};
    std::vector<std::string> notes{};  ///< what was passed over, each with its field
};

/// No longer text is read, in bytes.
inline constexpr std::size_t kMaxMetadata = 1U << 20;

/// Reads env.json by the rules of uenv. What uenv passes over is passed over with a note. An
/// unknown field is ignored. Errors: corrupt, with the field as
/// "views.default.env.values.list.PATH[0]".
[[nodiscard]] Result<Metadata> parse_metadata(std::string_view text);

}  // namespace squenv::view
