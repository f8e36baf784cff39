// SPDX-License-Identifier: MIT
// What the packer of an image recorded about it, as the commands need it.
#pragma once

#include <optional>
#include <string>

#include "appendix/appendix.h"
#include "image/image.h"

namespace squenv::cli {

/// Nothing when the image has no appendix. Errors: corrupt, unsupported, io.
[[nodiscard]] Result<std::optional<appendix::Manifest>> read_manifest(const image::Image& image);

/// Where `subdir` of the image ("" is its root) wants to be mounted, or an empty string.
/// Errors: corrupt (the recorded path is not absolute).
[[nodiscard]] Result<std::string> recorded_mountpoint(const appendix::Manifest& manifest,
                                                      const std::string& subdir);

/// Whether two mount points are one, however they are written.
[[nodiscard]] bool is_same_place(const std::string& one, const std::string& other);

}  // namespace squenv::cli
