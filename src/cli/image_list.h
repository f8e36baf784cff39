// SPDX-License-Identifier: MIT
// IMAGE[:PATH][,IMAGE[:PATH]...]: images and their paths, as one word.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appendix/appendix.h"
#include "base/result.h"
#include "image/image.h"
#include "run/methods.h"
#include "venv/kind.h"
#include "view/metadata.h"

namespace squenv::cli {

struct ListedImage {
    std::string image;
    std::string path{};        ///< "" is the recorded path
    std::string label_name{};  ///< the name of a uenv whose label it was, or ""
};

/// Splits at commas, then at the last colon before a path. A backslash removes the meaning of the
/// next character, and the name of an existing file is never split. For "~" in front of a name or
/// path see given_path(). Errors: invalid_argument (an empty name or path, "~user").
[[nodiscard]] Result<std::vector<ListedImage>> parse_image_list(const std::string& text);

/// What an image records about itself, and the path for it.
struct ListedRequest {
    run::Wanted wanted{};
    std::string image{};          ///< as the user wrote it
    std::string recorded{};       ///< the path recorded for what is mounted of it, or ""
    std::string recorded_root{};  ///< the same for the root of the image
    venv::EnvironmentKind kind = venv::EnvironmentKind::none;
    /// The place of an environment in it, when it is none itself: ".venv", or "".
    std::string inner_environment{};
    bool is_bound = false;  ///< one that works at the recorded path only
    bool is_given = false;  ///< the user named the path
    /// What it says of itself as a uenv, when all of it is mounted; `metadata_error` tells why that
    /// cannot be used.
    std::optional<view::Metadata> metadata{};
    std::optional<Error> metadata_error{};
    std::string label_name{};  ///< its name in the repository of uenvs where it was found, or ""
};

/// The kind of environment that `subdirectory` of the image ("" is its root) is.
[[nodiscard]] venv::EnvironmentKind environment_in(
    const image::Image& image, const std::optional<appendix::Manifest>& manifest,
    const std::string& subdirectory);

/// Opens the image and determines its path. `base` has the mount options. `has_comma`: the name is
/// one of several, and might be a part of one with a comma.
/// Errors: those of Image::open(); invalid_argument (no path).
[[nodiscard]] Result<ListedRequest> consult_image(const ListedImage& listed,
                                                  const daemon::Request& base,
                                                  bool has_comma = false);

/// Refuses a path other than the recorded one for an environment that is bound to that, unless
/// `force`. Refuses a recorded path that only the user may choose, see run/destination.h.
/// Errors: invalid_argument.
[[nodiscard]] Status check_path(const ListedRequest& listed, bool force);

/// Both steps for each image of a list. No two images may have one path. Errors: as these two.
[[nodiscard]] Result<std::vector<ListedRequest>> resolve_images(
    const std::vector<ListedImage>& list, const daemon::Request& base, bool force);

}  // namespace squenv::cli
