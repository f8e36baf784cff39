// SPDX-License-Identifier: MIT
// Visits every object of a tree once per name, without recursion.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "image/image.h"

namespace squenv::image {

/// The callbacks of a walk. `path` is relative to where it began; "" is the beginning itself.
struct WalkVisitor {
    /// Called before the children of a directory. False stops the walk.
    std::function<bool(const std::string& path, const Inode& inode)> enter;
    /// Called after the children of a directory; may be empty.
    std::function<void(const std::string& path, const Inode& inode)> leave;
    /// An object that cannot be read; the walk continues with the next. False stops the walk.
    std::function<bool(const std::string& path, const Error& error)> failed;
};

/// Walks `start` and everything below it, in the order of the listings. A directory that was
/// entered before is reported as corrupt and not entered again, so every walk ends.
void walk(const Image& image, const Inode& start, const WalkVisitor& visitor);

/// What the unpacked tree takes on a disk: the content, and a block of 4 KiB for each object.
[[nodiscard]] std::uint64_t unpacked_bytes(const Image& image);

}  // namespace squenv::image
