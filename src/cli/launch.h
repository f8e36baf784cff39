// SPDX-License-Identifier: MIT
// Runs a program that has images mounted: the common part of `run` and `shell`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/command.h"
#include "cli/image_list.h"
#include "cli/session_views.h"
#include "run/methods.h"

namespace squenv::cli {

/// The options of both commands.
struct LaunchOptions {
    std::string images{};
    std::vector<ListedImage> listed{};  ///< instead of `images`
    std::string via = "auto";
    std::vector<std::string> variables{};      ///< NAME=VALUE
    std::vector<std::string> mount_options{};  ///< as of `squenv mount -o`
    std::string record{};                      ///< the file that receives the trace, or ""
    bool force = false;
    bool has_fast_import = false;
    ViewOptions views{};

    void declare(Options options);
};

/// The parsed options, and the opened images; nothing is mounted yet.
struct Launch {
    std::vector<ListedRequest> images{};
    SessionViews views{};
    mount::Method via = mount::Method::automatic;
    std::vector<std::string> variables{};  ///< NAME=VALUE
    bool has_fast_import = false;          ///< see set_fast_import()
    std::vector<int> inherited_fds{};      ///< descriptors that this process was started with
    std::vector<int> closed{};             ///< of the standard ones, which were not open
    UniqueFd recording_notice{};           ///< see recording_notice.h; empty without a recording
};
/// Errors: what is wrong with the options or an image.
[[nodiscard]] Result<Launch> prepare_launch(const LaunchOptions& options, const Io& io);

/// True when another process has mounted everything that `launch` asks for, for this one.
[[nodiscard]] bool is_active_already(const Launch& launch);

/// Mounts the images, activates the environments among them in this process's environment, and
/// moves it to where they are.
/// Errors: whatever keeps an image from being where it belongs.
[[nodiscard]] Result<run::HeldMounts> hold_images(const Launch& launch, Io& io);

/// The steps after the mounts of `held` are made: see hold_images(), and HeldMounts::settle() for
/// `inside`. Errors: those of settle().
[[nodiscard]] Status enter_images(const Launch& launch, run::HeldMounts& held, Io& io,
                                  const std::function<Status()>& inside = {});

/// Reports on io.err what keeps the Python of the environments from working, before all else that
/// the user should know of the mounts, and that an environment deeper in an image is not active.
/// `program` is the command, "" an interactive shell. Errors: not_found, when `program` is the name
/// of an interpreter and that of the first environment does not work: another one in PATH would be
/// run without a word.
[[nodiscard]] Status check_environments(const Launch& launch, const run::HeldMounts& held,
                                        const std::string& program, Io& io);

/// The process becomes `command`. Returns only on failure: not_found when the program does not
/// exist, denied when it cannot be executed.
[[nodiscard]] Status become(const Launch& launch, const std::vector<std::string>& command);

/// Does all of this for the user's interactive shell and becomes that. Sets `has_provided` when the
/// images are there. Returns only on failure.
[[nodiscard]] Status become_shell(const Launch& launch, Io& io, bool& has_provided);

/// The exit status of a failure, as for env(1): 127 no such program, 126 it cannot be executed, 125
/// any failure before.
[[nodiscard]] int launch_status(bool has_provided, Errc code);

}  // namespace squenv::cli
