// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "image/image.h"
#include "view/metadata.h"

namespace squenv::cli {

/// What the image says of itself as a uenv: meta/env.json in the directory of the image file, as in
/// a repository, else in the image. Nothing when there is neither.
/// Errors: those of parse_metadata(), with the file; denied, io.
[[nodiscard]] Result<std::optional<view::Metadata>> read_uenv_metadata(
    const std::string& image_path, const image::Image& image);

}  // namespace squenv::cli
