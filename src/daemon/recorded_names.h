// SPDX-License-Identifier: MIT
// What an image says that a program needs first.
#pragma once

#include <vector>

#include "appendix/appendix.h"
#include "daemon/tree_walker.h"
#include "fuse/file_system.h"
#include "image/image.h"

namespace squenv::daemon {

/// What the packer recorded; a list that cannot be read is none.
[[nodiscard]] std::vector<appendix::HotItem> load_hot_list(const image::Image& image);

/// The names in `hot` as they are seen in the mount, in order. They are moved out of `hot`, where
/// nobody else needs them.
[[nodiscard]] std::vector<RecordedName> recorded_names(std::vector<appendix::HotItem>& hot,
                                                       const fuse::ViewOptions& view);

}  // namespace squenv::daemon
