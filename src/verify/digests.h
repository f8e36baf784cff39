// SPDX-License-Identifier: MIT
// Comparing the stored bytes of an image with the digests its packer recorded. This finds damage
// that still decodes, which nothing in the format itself can.
#pragma once

#include <vector>

#include "image/image.h"

namespace squenv::verify {

/// One error per file with a damaged block, and one per damaged range that belongs to no file. An
/// image without digests has none. The context begins with the path.
[[nodiscard]] std::vector<Error> check_digests(const image::Image& image, unsigned threads);

}  // namespace squenv::verify
