// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "base/bytes.h"

namespace squenv {

using Sha256 = std::array<std::byte, 32>;

/// Thread-safe.
[[nodiscard]] Sha256 sha256_of(ByteView bytes);
/// The same of what `next` returns, one piece after the other, up to an empty one.
[[nodiscard]] Sha256 sha256_of(const std::function<ByteView()>& next);

}  // namespace squenv
