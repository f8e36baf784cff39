// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace squenv {

/// `text` with a backslash in front of every backslash and of every character of `special`: how
/// names are written in lists, of mount options as of images.
[[nodiscard]] std::string escaped(std::string_view text, std::string_view special);

}  // namespace squenv
