// SPDX-License-Identifier: MIT
// Recording what a command touches of an image.
#pragma once

#include <string>

#include "base/result.h"
#include "trace/trace.h"

namespace squenv::cli {

struct WarmCommand {
    std::string command;          ///< for /bin/sh
    bool is_environment = false;  ///< its bin goes in front of PATH, as activating it would do
};

/// Mounts `image` over `mountpoint`, runs the command, unmounts, and returns what it touched.
/// A file is made beside `image` and removed.
/// Errors: environment (no way to mount), invalid_argument (the command failed), cancelled, busy.
[[nodiscard]] Result<trace::Trace> record_command(const std::string& image,
                                                  const std::string& mountpoint,
                                                  const WarmCommand& command);

}  // namespace squenv::cli
