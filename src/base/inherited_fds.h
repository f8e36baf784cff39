// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

namespace squenv {

/// The descriptors above 2 that are open now. Called first in a program, it returns those that the
/// caller passed on: a process that stays in the background must not keep them open.
[[nodiscard]] std::vector<int> inherited_descriptors();

}  // namespace squenv
