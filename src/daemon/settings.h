// SPDX-License-Identifier: MIT
// What a request names besides the image and its place: files and directories of the user's.
#pragma once

#include "base/result.h"
#include "daemon/request.h"

namespace squenv::daemon {

/// Tries the trace, the stage and the log of `request`, whose image is open. Whoever has several
/// ways to mount asks before the first: no way mends what is wrong there. The trace and the log may
/// be made, nothing is changed. Errors: those of RecordingFile::open() but busy, of Stage::open()
/// and of log::start().
[[nodiscard]] Status check_settings(const Request& request);

}  // namespace squenv::daemon
