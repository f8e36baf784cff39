// SPDX-License-Identifier: MIT
// How the files of two images differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace squenv::diff {

/// One object as one image has it.
struct FileSide {
    format::InodeType type = format::InodeType::file;
    std::uint16_t mode = 0;        ///< permission bits, 07777
    std::uint64_t size_bytes = 0;  ///< of regular files
    std::string target{};          ///< of symlinks
    std::uint32_t device = 0;      ///< of devices, as the inode has it
    bool operator==(const FileSide&) const = default;
};

/// One path that is not the same in both images. At least one side is there.
struct FileDifference {
    std::string path;  ///< relative to the root, which is "."
    std::optional<FileSide> before{};
    std::optional<FileSide> after{};
    bool has_other_content = false;  ///< of regular files of the same size

    [[nodiscard]] bool is_added() const { return !before; }
    [[nodiscard]] bool is_removed() const { return !after; }
};

/// Compares types, permissions, sizes, targets, devices and contents; no owners, times, or extended
/// attributes. What is in a directory follows it. Uses all processors.
/// Errors: corrupt, io, of any object of either image.
[[nodiscard]] Result<std::vector<FileDifference>> compare_files(const image::Image& before,
                                                                const image::Image& after);

}  // namespace squenv::diff
