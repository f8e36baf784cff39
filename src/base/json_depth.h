// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace squenv {

/// Whether objects and arrays in the JSON `text` are nested `most` deep at most. Called before text
/// from outside is parsed. Code that handles a parsed value recurses for each level, and a limit on
/// the size of the text does not bound the depth.
[[nodiscard]] bool is_shallow(std::string_view text, int most);

}  // namespace squenv
