// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "base/bytes.h"

namespace squenv::appendix {

/// SHA-256.
using Digest = std::array<std::byte, 32>;

/// Thread-safe.
[[nodiscard]] Digest digest_of(ByteView bytes);
/// The same of what `next` returns, one piece after the other, up to an empty one.
[[nodiscard]] Digest digest_of(const std::function<ByteView()>& next);

}  // namespace squenv::appendix
