// SPDX-License-Identifier: MIT
// What a request names besides the image and its place: files and directories of the user's.
#pragma once

#include "base/result.h"
#include "mount/request.h"

namespace squenv::mount {

/// Tries the trace, the stage and the log of `request`. Whoever has several ways to mount asks
/// before the first: no way mends what is wrong there. The trace and the log may be made, nothing
/// is changed. Errors: those of RecordFile::open() but busy, of Stage::open() and of log::start().
[[nodiscard]] Status check_settings(const MountRequest& request);

}  // namespace squenv::mount
