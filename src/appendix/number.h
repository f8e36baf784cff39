// SPDX-License-Identifier: MIT
// Numbers as the sections write them: seven bits a byte, the least significant first, the top bit
// set on all bytes but the last.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace squenv::appendix {

void append_number(ByteVector& out, std::uint64_t value);
/// Takes a number off the front of `bytes`. Errors: corrupt.
[[nodiscard]] Result<std::uint64_t> take_number(ByteView& bytes);

}  // namespace squenv::appendix
