// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace squenv {

/// Whether objects and arrays in the JSON `text` lie in each other `most` deep at most. To be asked
/// before text of somebody else is parsed: what handles a parsed value calls itself for each level,
/// and depth is the only thing that a limit on the size of the text does not bound.
[[nodiscard]] bool is_shallow(std::string_view text, int most);

}  // namespace squenv
