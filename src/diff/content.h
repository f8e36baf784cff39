// SPDX-License-Identifier: MIT
// Whether files of two images have the same content.
#pragma once

#include <string>
#include <vector>

#include "image/image.h"

namespace squenv::diff {

/// Regular files of the same size, one of each image.
struct FilePair {
    std::string path;
    image::Inode before{};
    image::Inode after{};
    bool is_different = false;
};

/// Sets `is_different` of all pairs. Where both packers recorded digests of what they stored, and
/// stored a file alike, it is not read. The rest is decoded, every block once per image unless a
/// file is larger than a block. Uses up to `threads` threads.
/// Errors: corrupt, io, of any file; the context begins with its path.
[[nodiscard]] Status compare_contents(const image::Image& before, const image::Image& after,
                                      std::vector<FilePair>& pairs, unsigned threads);

}  // namespace squenv::diff
