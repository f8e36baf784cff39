// SPDX-License-Identifier: MIT
// What the packer puts first, from recordings and from images.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "image/image.h"
#include "squenv/touch.h"

namespace squenv::cli {

/// The items of several traces, those of the first file first. Errors: as trace::load().
[[nodiscard]] Result<std::vector<Touch>> load_touches(const std::vector<std::string>& files);
/// What `image` has recorded, for packing it again. An appendix that cannot be read, or a list that
/// does not fit the image, gives none. Errors: corrupt, io (the image itself).
[[nodiscard]] Result<std::vector<Touch>> recorded_touches(const image::Image& image);

}  // namespace squenv::cli
