// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>

#include "base/bytes.h"

namespace squenv::appendix {

/// SHA-256.
using Digest = std::array<std::byte, 32>;

/// Thread-safe.
[[nodiscard]] Digest digest_of(ByteView bytes);

}  // namespace squenv::appendix
