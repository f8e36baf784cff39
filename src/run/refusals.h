// SPDX-License-Identifier: MIT
// Why none of several ways could be gone, as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace squenv::run {

/// One way, and what kept us from it.
struct Refusal {
    std::string way{};
    Error error{};
};

/// `subject`, then a line for each reason with the ways that have it, then one for each thing that
/// would mend one of them, then `last`. Nothing is said twice.
[[nodiscard]] std::string refusal_text(const std::string& subject,
                                       const std::vector<Refusal>& refusals,
                                       const std::string& last);

}  // namespace squenv::run
