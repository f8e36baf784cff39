// SPDX-License-Identifier: MIT
// Reading images in tests: whole objects, whole trees, and anything that arrives.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "image/image.h"
#include "support/image_builder.h"
#include "support/memory_source.h"

namespace squenv::test {

[[nodiscard]] Result<std::unique_ptr<image::Image>> open_image(
    const BuiltImage& built, std::shared_ptr<Faults> faults = nullptr,
    const image::OpenOptions& options = {});

[[nodiscard]] Result<std::string> read_range(const image::Image& image, const image::Inode& file,
                                             std::uint64_t offset, std::uint64_t size);
[[nodiscard]] Result<std::string> read_file(const image::Image& image, const std::string& path);
[[nodiscard]] Result<std::vector<std::string>> list(const image::Image& image,
                                                    const std::string& path);

/// Reads everything about the object at `path`: attributes, content or names, xattrs. Nothing when
/// it is what was built, else the failure. A wrong answer without a failure is Errc::internal.
[[nodiscard]] Status read_object(const image::Image& image, const BuiltImage& built,
                                 const std::string& path);

/// Every path of `built`, directories included.
[[nodiscard]] std::vector<std::string> all_paths(const BuiltImage& built);

/// What `exercise` came across.
struct Exercise {
    bool is_open = false;
    std::uint64_t objects = 0;
    std::uint64_t failures = 0;
    std::uint64_t bytes = 0;
};
/// Opens any bytes as an image and uses everything in it, up to a bound of work. Errors that are
/// Errc::internal end the process: an image must not be able to cause them.
Exercise exercise(ByteVector bytes);

}  // namespace squenv::test
