// SPDX-License-Identifier: MIT
// Whether the Python of an environment is on this machine. Most environments only link to one, and
// where that is missing a shell finds another in PATH without a word. Nothing is executed here.
#pragma once

#include <string>
#include <string_view>

#include "venv/file_tree.h"

namespace squenv::venv {

/// What would keep the interpreter of an environment from working.
struct InterpreterState {
    /// "bin/python3 leads to /opt/py/bin/python3, which is not here"; "" when nothing is wrong.
    std::string finding{};
    std::string remedy{};  ///< what mends it
    [[nodiscard]] bool is_usable() const { return finding.empty(); }
};

/// Where the links that begin at `path` end, whether something is there or not.
[[nodiscard]] std::string end_of_links(std::string path);

/// Looks at the tree at `tree`, an absolute path: bin/python3 and bin/python have to lead to a
/// program that can be executed, and to the version that lib/pythonX.Y was made for. Nothing is
/// wrong with what cannot be told, with a tree that is no environment, or with a prefix of conda
/// that has no Python.
[[nodiscard]] InterpreterState inspect_interpreter(const std::string& tree);

/// The same before the environment is where it will be used: `files` are what is going to be at
/// `root`. What they lead to outside of that is looked for on this machine. `end`, if not nullptr,
/// receives where bin/python3 leads to, "" when there is none. Errors: those of `files`.
[[nodiscard]] Result<InterpreterState> inspect_interpreter(const FileTree& files,
                                                           const std::string& root,
                                                           std::string* end = nullptr);

/// True for "python", "python3" and "python3.11": a name that the environment is expected to have.
[[nodiscard]] bool is_interpreter_name(std::string_view program);

}  // namespace squenv::venv
