// SPDX-License-Identifier: MIT
// Views, applied to environment variables: the environment in, the environment out. Reads and sets
// none of this process.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "view/metadata.h"

namespace squenv::view {

/// Environment variables by name. The name of an exported shell function has other characters than
/// is_variable_name() allows, and stays.
using Variables = std::map<std::string, std::string>;

/// Whether `name` is one that a view may set: [A-Za-z_][A-Za-z0-9_]*.
[[nodiscard]] bool is_variable_name(std::string_view name);

/// `text` with each ${@NAME@} replaced by the value of NAME, once. An unknown NAME is empty, and
/// what begins without end is left out; both are noted. $NAME and ${NAME} stay.
/// Errors: limit (longer than one variable can be).
[[nodiscard]] Result<std::string> expand(std::string_view text, const Variables& variables,
                                         std::vector<std::string>& notes);

/// What a list is after `updates`; nothing when it is removed. `before` is split at colons; empty
/// and repeated entries are left out, and the first of these is kept.
[[nodiscard]] std::optional<std::string> updated_list(const std::string& before,
                                                      const std::vector<ListUpdate>& updates);

struct Applied {
    Variables variables{};
    std::vector<std::string> notes{};  ///< what is missing or left out
};

/// Applies `patch`: scalars sorted by name, then lists sorted by name. uenv leaves open the order
/// within these. Errors: limit, with the variable.
[[nodiscard]] Result<Applied> apply_patch(const Patch& patch, Variables variables);

}  // namespace squenv::view
