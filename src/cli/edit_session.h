// SPDX-License-Identifier: MIT
// The process of an editing session: it makes the environment writable at its path, runs the
// command or a shell there, and completes what that installed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/launch.h"
#include "edit/session.h"

namespace squenv::cli {

/// What a session does.
struct EditPlan {
    const Launch& launch;
    const edit::Session& session;
    const UniqueFd& hold;                     ///< of the session
    const std::vector<std::string>& command;  ///< empty: a shell
};

/// How the command of a session ended.
struct EditEnd {
    int status = 0;           ///< as a shell shows it
    bool was_killed = false;  ///< by a signal
    bool is_lost = false;     ///< its process was killed, and how it ended is not known
};

/// Runs the session in a process of its own, and waits for its end. Signals of the terminal are
/// meant for the command; others are passed on to it. `meanwhile` is called as soon as the process
/// runs, and may start threads. Before any thread exists.
/// Errors: what keeps the environment from being writable at its path; nothing has been run then.
[[nodiscard]] Result<EditEnd> run_edit_session(const EditPlan& plan, Io& io,
                                               const std::function<void()>& meanwhile);

/// `words` as a shell would need them.
[[nodiscard]] std::string command_line(const std::vector<std::string>& words);

}  // namespace squenv::cli
