// SPDX-License-Identifier: MIT
// Text as one word of a shell.
#pragma once

#include <string>

namespace squenv {

/// `text` in quotes: one word of any shell but fish.
[[nodiscard]] std::string shell_word(const std::string& text);

/// The same, without quotes where no shell needs them, for lines that people read.
[[nodiscard]] std::string quoted_if_needed(const std::string& text);

}  // namespace squenv
