// SPDX-License-Identifier: MIT
// Records what a command touches of an image.
#pragma once

#include <string>

#include "base/result.h"
#include "trace/trace.h"

namespace squenv::cli {

struct WarmCommand {
    std::string command;          ///< for /bin/sh
    bool is_environment = false;  ///< its bin goes in front of PATH, as activation does it
};

/// Mounts `image` over `mountpoint`, runs the command, unmounts, and returns what the command
/// touched. A temporary file is made beside `image`.
/// Errors: environment (no way to mount), invalid_argument (the command failed), cancelled, busy.
[[nodiscard]] Result<trace::Trace> record_command(const std::string& image,
                                                  const std::string& mountpoint,
                                                  const WarmCommand& command);

/// The same in `squenv run`, for a path at which nothing is. `command` is for /bin/sh.
/// Errors: invalid_argument (the command failed, or there is no way to mount), cancelled.
[[nodiscard]] Result<trace::Trace> record_run(const std::string& image, const std::string& at,
                                              const std::string& command);

}  // namespace squenv::cli
