// SPDX-License-Identifier: MIT
// Comparing the stored bytes of an image with the digests its packer recorded. This finds damage
// that still decodes, which nothing in the format itself can.
#pragma once

#include <string>
#include <vector>

#include "base/error_list.h"
#include "image/image.h"

namespace squenv::verify {

/// What is stored otherwise than it was packed.
struct DigestDamage {
    std::vector<std::string> files;  ///< paths of those with a damaged block
    std::vector<Error> others;       ///< one per damaged range that belongs to no file

    [[nodiscard]] bool is_empty() const { return files.empty() && others.empty(); }
};
/// Nothing for an image without digests. Errors: corrupt (the appendix).
[[nodiscard]] Result<DigestDamage> find_digest_damage(const image::Image& image, unsigned threads);

/// "stored bytes differ ...": what is wrong with one of `files`.
[[nodiscard]] Error damaged_file();

/// Adds one error per file with a damaged block, and one per damaged range that belongs to no file.
/// An image without digests has none.
void check_digests(const image::Image& image, unsigned threads, ErrorList& errors);

}  // namespace squenv::verify
