// SPDX-License-Identifier: MIT
// Becoming a program that has images mounted: what `run` and `shell` share.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/image_list.h"
#include "mount/provide.h"

namespace squenv::cli {

/// The options that both take.
struct LaunchOptions {
    std::string images{};
    std::string via = "auto";
    std::vector<std::string> variables{};      ///< NAME=VALUE
    std::vector<std::string> mount_options{};  ///< as of `squenv mount -o`
    bool force = false;

    void declare(CLI::App& app);
};

/// Mounts what `options` name and activates the environments among them, in this process's
/// environment. Says on io.err what the user should know.
/// Errors: whatever keeps an image from being where it belongs.
[[nodiscard]] Result<mount::Provision> provide_images(const LaunchOptions& options, Io& io);

/// The process becomes `command`, with the images. Returns only when that fails: not_found when
/// there is no such program, denied when it cannot be executed.
[[nodiscard]] Status become(mount::Provision& provision, const std::vector<std::string>& command);

/// The exit status of a failure, as env(1) has them: 127 no such program, 126 it cannot be
/// executed, 125 everything that failed before.
[[nodiscard]] int launch_status(bool has_provided, Errc code);

}  // namespace squenv::cli
