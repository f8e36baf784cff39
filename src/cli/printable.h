// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace squenv::cli {

/// Control characters, those of one byte and U+0080 to U+009F in UTF-8, never reach the terminal
/// raw: they are printed as \x1b.
[[nodiscard]] std::string printable(const std::string& name);

}  // namespace squenv::cli
