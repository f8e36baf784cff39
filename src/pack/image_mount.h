// SPDX-License-Identifier: MIT
// Whether a directory is served from an image: what is packed is then the image, and not what was
// edited below it. The daemon's own table of mounts is no part of the packer.
#pragma once

#include <sys/types.h>

#include <iosfwd>
#include <optional>
#include <string>

namespace squenv::pack {

struct ImageMount {
    std::string mountpoint;
    std::string image;  ///< as the mount table has it
};

/// The mount of squenv or squashfuse that `directory`, an absolute path, is or lies in. Nothing
/// when there is none, or when that cannot be found out.
[[nodiscard]] std::optional<ImageMount> image_mount_of(const std::string& directory);

/// The same by the text of /proc/self/mountinfo, for the file system `device` and the path
/// `directory`, which has no symlinks.
[[nodiscard]] std::optional<ImageMount> find_image_mount(std::istream& mountinfo, dev_t device,
                                                         const std::string& directory);

}  // namespace squenv::pack
