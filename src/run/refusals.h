// SPDX-License-Identifier: MIT
// The reasons why all of several methods failed, as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace squenv::run {

/// One method, and what prevents it.
struct Refusal {
    std::string way{};
    Error error{};
};

/// `subject`, then a line for each reason with the methods that have it, then one for each remedy
/// of one of them, then `last`. Nothing appears twice.
[[nodiscard]] std::string refusal_text(const std::string& subject,
                                       const std::vector<Refusal>& refusals,
                                       const std::string& last);

}  // namespace squenv::run
