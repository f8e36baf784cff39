// SPDX-License-Identifier: MIT
// The names that a program needs first, as recorded in the image.
#pragma once

#include <vector>

#include "appendix/appendix.h"
#include "daemon/tree_walker.h"
#include "fuse/file_system.h"
#include "image/image.h"

namespace squenv::daemon {

/// The packer's recording; an unreadable list counts as empty.
[[nodiscard]] std::vector<appendix::HotItem> load_hot_list(const image::Image& image);

/// The names in `hot` as they are in the mount, in order. They are moved out of `hot`: it has no
/// other use for them.
[[nodiscard]] std::vector<RecordedName> recorded_names(std::vector<appendix::HotItem>& hot,
                                                       const fuse::ViewOptions& view);

}  // namespace squenv::daemon
