// SPDX-License-Identifier: MIT
// What is to be installed, as the user names it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::create {

enum class InputKind {
    packages,      ///< names of packages, or paths of wheels
    requirements,  ///< files of pip's format
    project,       ///< a directory that pip or uv can build
    uv_lock,       ///< a project with a lock of uv
    pylock,        ///< a file of PEP 751
    conda,         ///< an environment.yml
};

struct Inputs {
    InputKind kind = InputKind::packages;
    std::vector<std::string> packages{};  ///< `packages` only
    std::vector<std::string> files{};     ///< what is read besides the directory, as given
    std::string project{};                ///< the directory; "" for other kinds
};

/// `requirements` are the values of -r, `words` the operands. Exactly one of them has to name
/// something, and only packages may be several words.
/// Errors: invalid_argument (none, two kinds, a directory that is no project), not_found, denied
/// (a file that cannot be read).
[[nodiscard]] Result<Inputs> recognise_inputs(const std::vector<std::string>& requirements,
                                              const std::vector<std::string>& words);

}  // namespace squenv::create
