// SPDX-License-Identifier: MIT
// Comparing the stored bytes of an image with the digests its packer recorded. This finds damage
// that still decodes, which nothing in the format itself can.
#pragma once

#include "base/error_list.h"
#include "image/image.h"

namespace squenv::verify {

/// Adds one error per file with a damaged block, and one per damaged range that belongs to no file.
/// An image without digests has none.
void check_digests(const image::Image& image, unsigned threads, ErrorList& errors);

}  // namespace squenv::verify
