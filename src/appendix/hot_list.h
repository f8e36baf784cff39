// SPDX-License-Identifier: MIT
// The hot list as bytes. Private to this module.
#pragma once

#include <vector>

#include "appendix/appendix.h"

namespace squenv::appendix {

/// The items in front that fit the bounds of a list, without those whose path a reader would
/// refuse.
[[nodiscard]] ByteVector encode_hot_list(const std::vector<HotItem>& items);
/// Takes kMaxHotItems items from the first kMaxHotListBytes, and ignores what follows.
/// Errors: corrupt, also for a path that leads out of the image.
[[nodiscard]] Result<std::vector<HotItem>> parse_hot_list(ByteView bytes);

}  // namespace squenv::appendix
