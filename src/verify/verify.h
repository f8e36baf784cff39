// SPDX-License-Identifier: MIT
// Decoding everything an image holds, to find out what of it is damaged.
#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"

namespace squenv::verify {

struct VerifyOptions {
    unsigned threads = 0;  ///< 0: by the number of processors
};

struct VerifyReport {
    std::uint64_t objects = 0;  ///< names walked
    std::uint64_t bytes = 0;    ///< of file content decoded
    std::uint64_t error_count = 0;
    std::vector<Error> errors{};      ///< the first ones; the context begins with the path
    bool is_short_of_memory = false;  ///< not everything could be checked
};

/// Reads every directory, inode, symlink, xattr and data block once, and checks that link counts
/// and the number of inodes agree with the tree; then compares what is stored with the digests of
/// the packer, if it left some. Fails as a whole only for want of memory.
[[nodiscard]] VerifyReport verify_image(const image::Image& image, const VerifyOptions& options);

}  // namespace squenv::verify
