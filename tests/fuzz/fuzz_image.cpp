// SPDX-License-Identifier: MIT
// Any bytes as an image: opened, walked, everything read.
#include <cstddef>
#include <cstdint>

#include "support/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    (void)squenv::test::exercise({bytes.begin(), bytes.end()});
    return 0;
}
