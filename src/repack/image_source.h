// SPDX-License-Identifier: MIT
// An image as the source of another one, for another codec, block size or selection.
#pragma once

#include <memory>
#include <string>

#include "image/image.h"
#include "pack/source.h"

namespace squenv::repack {

/// The options must outlive the source.
[[nodiscard]] std::unique_ptr<pack::Source> make_image_source(std::unique_ptr<image::Image> image,
                                                              const pack::Options& options);

}  // namespace squenv::repack
