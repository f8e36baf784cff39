// SPDX-License-Identifier: MIT
// Tells the user of a command what became of its recording. That is written when the mount is gone,
// and then the command, which this program had become, has ended.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::cli {

/// Starts a process that holds the standard error, and no other descriptor of the caller. It prints
/// the error that comes through the returned socket, in the form of base/remote_error.h. It ends
/// when the socket is closed everywhere, or a few seconds after the calling process: unless
/// `is_quiet`, it then says that the recording of `file` is not written yet. The caller's copy of
/// the socket closes on exec. Before any thread exists. Errors: limit.
[[nodiscard]] Result<UniqueFd> start_recording_notice(const std::string& file, bool is_quiet);

}  // namespace squenv::cli
