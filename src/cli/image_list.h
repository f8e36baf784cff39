// SPDX-License-Identifier: MIT
// IMAGE[:PATH][,IMAGE[:PATH]...]: images and where they go, as one word.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "mount/provide.h"

namespace squenv::cli {

struct ListedImage {
    std::string image;
    std::string path{};  ///< "" is the recorded one
};

/// Splits at commas, then at the last colon with a path behind it. A backslash takes the meaning
/// of the next character, and the name of a file that exists is never split.
/// Errors: invalid_argument (an empty name).
[[nodiscard]] Result<std::vector<ListedImage>> parse_image_list(const std::string& text);

/// What the images of a list say about themselves.
struct ListedRequest {
    mount::Wanted wanted{};
    bool is_python = false;  ///< a Python environment
};

/// Opens each image, finds out where it goes, and refuses what cannot work: a path other than the
/// recorded one for an environment that is bound to that, unless `force`; two images at one path.
/// `base` has the mount options. Errors: those of Image::open(); invalid_argument.
[[nodiscard]] Result<std::vector<ListedRequest>> resolve_images(
    const std::vector<ListedImage>& list, const mount::MountRequest& base, bool force);

}  // namespace squenv::cli
