// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace squenv {

/// Control characters, those of one byte and U+0080 to U+009F in UTF-8, never reach a terminal or a
/// log raw: they are written as \x1b.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace squenv
