// SPDX-License-Identifier: MIT
// What kind of environment a tree is, told by what is in it: on disk, mounted, or in an image.
#pragma once

#include <functional>
#include <string>

namespace squenv::venv {

enum class EnvironmentKind {
    none,
    venv,   ///< of venv, virtualenv, uv: links to an interpreter that was installed elsewhere
    conda,  ///< a prefix of conda, mamba or pixi: everything is in it, under its own path
};

/// "none", "venv" or "conda".
[[nodiscard]] const char* kind_text(EnvironmentKind kind);

/// Whether `path`, relative to the root of the tree, is there.
using HasPath = std::function<bool(const std::string& path)>;

[[nodiscard]] EnvironmentKind environment_kind(const HasPath& has);
/// The same for the directory `root`.
[[nodiscard]] EnvironmentKind environment_kind_at(const std::string& root);

/// Where the environment of a project lies below its directory, as ".venv"; "" when there is none
/// at the places that are usual.
[[nodiscard]] std::string inner_environment(const HasPath& has);

}  // namespace squenv::venv
