// SPDX-License-Identifier: MIT
// Other programs: finding them in PATH, starting them, waiting for their end.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace squenv {

/// PATH, or what exec searches where it is not set.
[[nodiscard]] std::string search_path();

/// Where execvp(3) finds the program `name` in the directories of `path`, an empty one being the
/// current directory; `name` itself when it has a slash in it. "" when it is nowhere. `mode` is one
/// of access(2).
[[nodiscard]] std::string find_program(const std::string& name, std::string_view path,
                                       int mode = X_OK);

/// NAME=VALUE of every environment variable of this process.
[[nodiscard]] std::vector<std::string> own_variables();
/// The same by name. Of two of one name the first counts, as for getenv(3).
[[nodiscard]] std::map<std::string, std::string> process_variables();

/// A program to start.
struct ProgramStart {
    std::vector<std::string> words;      ///< its arguments; the first one is its name
    std::vector<std::string> variables;  ///< NAME=VALUE; all that it gets
    std::string path{};                  ///< the file; "" for the first word
    /// Descriptors that become its standard ones; -1 for /dev/null.
    int input = STDIN_FILENO;
    int output = STDOUT_FILENO;
    int errors = STDERR_FILENO;
    bool has_own_group = false;  ///< a process group for itself and the processes it starts
};

/// Starts it; the process must be waited for. Descriptors without O_CLOEXEC are inherited.
/// Errors: not_found, denied, limit and others of posix_spawn(3); the context is the first word.
[[nodiscard]] Result<pid_t> start_program(const ProgramStart& program);

/// How a process ended.
struct ProcessEnd {
    int status = 0;           ///< the exit status, or the number of the signal
    bool was_killed = false;  ///< by that signal

    /// As a shell shows it: 128+N for a signal.
    [[nodiscard]] int shell_status() const { return was_killed ? 128 + status : status; }
};

/// Waits for the end of a child. Errors: those of waitpid(2).
[[nodiscard]] Result<ProcessEnd> wait_for(pid_t child);
/// The same for a child with a process group of its own, which is asked to end, once, as soon as
/// `cancel` is set.
[[nodiscard]] Result<ProcessEnd> wait_for(pid_t child, const std::atomic<bool>& cancel);

/// What a program prints, and how it ends.
struct Captured {
    std::string output;
    ProcessEnd end;
};
/// Runs `program` to its end; its `output` is not used. Errors: as start_program(), wait_for().
[[nodiscard]] Result<Captured> capture(ProgramStart program);

}  // namespace squenv
