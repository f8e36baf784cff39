// SPDX-License-Identifier: MIT
// IMAGE[:PATH][,IMAGE[:PATH]...]: images and where they go, as one word.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appendix/appendix.h"
#include "base/result.h"
#include "image/image.h"
#include "mount/provide.h"
#include "venv/kind.h"

namespace squenv::cli {

struct ListedImage {
    std::string image;
    std::string path{};  ///< "" is the recorded one
};

/// Splits at commas, then at the last colon with a path behind it. A backslash takes the meaning
/// of the next character, and the name of a file that exists is never split.
/// Errors: invalid_argument (an empty name or path).
[[nodiscard]] Result<std::vector<ListedImage>> parse_image_list(const std::string& text);

/// What the images of a list say about themselves.
struct ListedRequest {
    mount::Wanted wanted{};
    venv::EnvironmentKind kind = venv::EnvironmentKind::none;
    /// Where in it an environment lies, when it is none itself: ".venv", or "".
    std::string inner_environment{};
};

/// The kind of environment that `subdirectory` of the image ("" is its root) is.
[[nodiscard]] venv::EnvironmentKind environment_in(
    const image::Image& image, const std::optional<appendix::Manifest>& manifest,
    const std::string& subdirectory);

/// Opens each image, finds out where it goes, and refuses what cannot work: a path other than the
/// recorded one for an environment that is bound to that, unless `force`; two images at one path.
/// `base` has the mount options. Errors: those of Image::open(); invalid_argument.
[[nodiscard]] Result<std::vector<ListedRequest>> resolve_images(
    const std::vector<ListedImage>& list, const mount::MountRequest& base, bool force);

}  // namespace squenv::cli
