// SPDX-License-Identifier: MIT
// The hot list as bytes. Private to this module.
#pragma once

#include <vector>

#include "appendix/appendix.h"

namespace squenv::appendix {

[[nodiscard]] ByteVector encode_hot_list(const std::vector<HotItem>& items);
/// Errors: corrupt.
[[nodiscard]] Result<std::vector<HotItem>> parse_hot_list(ByteView bytes);

}  // namespace squenv::appendix
