// SPDX-License-Identifier: MIT
// Python environments: recognising one, and what is in it. Knows nothing of images. All functions
// are thread-safe, and only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "venv/kind.h"

namespace squenv::venv {

/// An environment made by venv, virtualenv, uv or the like, or a prefix of conda.
struct Environment {
    EnvironmentKind kind = EnvironmentKind::venv;
    std::string root;             ///< absolute path, as given
    std::string place{};          ///< the path it was made for, when it lies elsewhere
    std::string python_version;   ///< "3.11.2", or empty when it does not say
    std::string home;             ///< directory of the interpreter a venv was made from
    std::string library;          ///< "lib/python3.11", relative to the root; empty when missing
    bool is_relocatable = false;  ///< its scripts find it wherever it lies
    bool has_system_packages = false;  ///< it sees those of the interpreter it was made from

    [[nodiscard]] std::string site_packages() const { return library + "/site-packages"; }
};

/// The environment at `root`, an absolute path; nothing when there is neither pyvenv.cfg nor
/// conda-meta.
/// Errors: denied, io.
[[nodiscard]] Result<std::optional<Environment>> recognise(const std::string& root);

/// No pyvenv.cfg is longer; what follows does not count.
inline constexpr std::size_t kMaxConfig = 64U << 10;

/// What pyvenv.cfg says, by lower-case key.
[[nodiscard]] Environment parse_config(const std::string& text);

/// One thing that will not work, or will be slow, in the packed environment.
struct Finding {
    std::string path;    ///< relative to the root
    std::string reason;  ///< what is wrong with it
    std::string advice;  ///< what to do
};

}  // namespace squenv::venv
