// SPDX-License-Identifier: MIT
// The environment of a session: the views of its uenvs, then the Python environments among its
// images.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/image_list.h"
#include "cli/options.h"
#include "view/choice.h"
#include "view/variable.h"

namespace squenv::cli {

/// The options that choose views.
struct ViewOptions {
    std::vector<std::string> views{};  ///< each VIEW[,VIEW...]
    bool no_default_view = false;

    /// `name` is that of the option, with its letter if it has one.
    void declare(Options options, const char* name = "--view");
};

/// The views of a session, in order.
struct SessionViews {
    std::vector<std::string> names{};  ///< of the images, in their order
    std::vector<view::ChosenView> chosen{};
    view::Patch patch{};               ///< all of them together
    std::vector<std::string> notes{};  ///< what the user should know
    bool has_uenv = false;             ///< one of the images describes itself as a uenv
};

/// Errors: invalid_argument (no such view, an image that is not where its views belong), corrupt
/// (an env.json that is asked for a view).
[[nodiscard]] Result<SessionViews> session_views(const std::vector<ListedRequest>& images,
                                                 const ViewOptions& options);

/// `before` with the views, then with the environments at `roots`, the places of the images. Those
/// of the first image come first. Errors: limit.
[[nodiscard]] Result<view::Applied> session_variables(const std::vector<ListedRequest>& images,
                                                      const std::vector<std::string>& roots,
                                                      const SessionViews& views,
                                                      view::Variables before);

/// Makes the variables of this process those of `after`. Touches none that is the same already.
void set_process_variables(const view::Variables& after);

/// UENV_MOUNT_LIST and UENV_VIEW, which scripts of sites and `uenv status` read.
struct UenvSession {
    std::string mounts{};  ///< IMAGE:PATH,...
    std::string views{};   ///< PATH:UENV:VIEW,...
};
[[nodiscard]] UenvSession uenv_session(const std::vector<std::string>& image_paths,
                                       const std::vector<std::string>& roots,
                                       const SessionViews& views);

/// The session that the variables of this process tell of, as far as its mounts are there. A batch
/// system passes the variables on to other nodes.
[[nodiscard]] UenvSession present_session();

}  // namespace squenv::cli
