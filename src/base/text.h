// SPDX-License-Identifier: MIT
// Names as parts of lists and of messages.
#pragma once

#include <string>
#include <string_view>

namespace squenv {

/// `text` with a backslash before every backslash and every character of `special`: how names are
/// written in lists, of mount options as of images.
[[nodiscard]] std::string escaped(std::string_view text, std::string_view special);

/// Control characters, those of one byte and U+0080 to U+009F in UTF-8, never reach a terminal or a
/// log raw: they are written as \x1b.
[[nodiscard]] std::string printable(std::string_view text);

/// Begins every line but the first of a message that has several. Names in it have no newline.
inline constexpr std::string_view kNextLine = "\n  ";

/// printable(), but the lines of a message stay lines.
[[nodiscard]] std::string printable_lines(std::string_view text);

}  // namespace squenv
