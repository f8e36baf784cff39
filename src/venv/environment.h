// SPDX-License-Identifier: MIT
// What we know of Python environments: recognising one, what would go wrong when it is packed, what
// is in it. Knows nothing of images. All functions are thread-safe; they read, except compile().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::venv {

/// An environment made by venv, virtualenv, uv or the like.
struct Environment {
    std::string root;             ///< absolute path, as given
    std::string python_version;   ///< "3.11.2", or empty when pyvenv.cfg does not say
    std::string home;             ///< directory of the interpreter it was made from
    std::string library;          ///< "lib/python3.11", relative to the root; empty when missing
    bool is_relocatable = false;  ///< its scripts find it wherever it lies

    [[nodiscard]] std::string site_packages() const { return library + "/site-packages"; }
};

/// The environment at `root`, an absolute path; nothing when there is no pyvenv.cfg.
/// Errors: denied, io.
[[nodiscard]] Result<std::optional<Environment>> recognise(const std::string& root);

/// What pyvenv.cfg says, by lower-case key.
[[nodiscard]] Environment parse_config(const std::string& text);

/// One thing that will not work, or will be slow, in the packed environment.
struct Finding {
    std::string path;    ///< relative to the root
    std::string reason;  ///< what is wrong with it
    std::string advice;  ///< what to do
};

/// Editable installs and .pth files that point outside, symlinks that leave the tree, scripts that
/// name another path, modules without a valid compiled form, unreadable files. Sorted by path.
[[nodiscard]] std::vector<Finding> check(const Environment& environment);

/// Runs the environment's own compileall on all cores, with pycs that are never checked against
/// their sources. False when some modules cannot be compiled, which is common for templates.
/// Errors: not_found (no bin/python), io, internal (killed).
[[nodiscard]] Result<bool> compile(const Environment& environment);

}  // namespace squenv::venv
