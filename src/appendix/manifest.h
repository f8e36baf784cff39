// SPDX-License-Identifier: MIT
// The manifest as JSON text. Private to this module, which keeps the JSON library out of headers.
#pragma once

#include <string>
#include <string_view>

#include "appendix/appendix.h"

namespace squenv::appendix {

[[nodiscard]] std::string encode_manifest(const Manifest& manifest);
/// Unknown members are ignored, so that later versions can add some. Errors: corrupt.
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view text);

}  // namespace squenv::appendix
