// SPDX-License-Identifier: MIT
// From recordings to what the packer puts first.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "image/image.h"
#include "squenv/pack.h"
#include "trace/trace.h"

namespace squenv::cli {

[[nodiscard]] std::vector<pack::HotItem> hot_items_of(const trace::Trace& trace);
/// Of several files, the first one first. Errors: as trace::load().
[[nodiscard]] Result<std::vector<pack::HotItem>> load_hot_items(
    const std::vector<std::string>& files);
/// What the packer of `image` recorded, for packing it again. An appendix that cannot be read, or
/// a list that does not fit the image, gives none. Errors: corrupt, io (the image itself).
[[nodiscard]] Result<std::vector<pack::HotItem>> recorded_hot_items(const image::Image& image);

}  // namespace squenv::cli
