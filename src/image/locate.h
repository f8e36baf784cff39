// SPDX-License-Identifier: MIT
// Finds the squashfs inside a file that holds more than it: AppImages and SIF containers.
#pragma once

#include <cstdint>
#include <string>

#include "image/byte_source.h"

namespace squenv::image {

/// The offset of the image in `source` (whose own offset is still 0): 0 for a plain image; the end
/// of the ELF file for an AppImage; the system partition for a SIF file.
/// Errors: unsupported when none of these holds an image.
[[nodiscard]] Result<std::uint64_t> find_image_offset(const ByteSource& source);

/// "an AppImage" or "a SIF container" when the file looks like one, else an empty string.
[[nodiscard]] std::string describe_container(const ByteSource& source);

}  // namespace squenv::image
