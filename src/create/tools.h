// SPDX-License-Identifier: MIT
// The programs that make environments, as far as they are installed. None is ever downloaded.
#pragma once

#include <string>

#include "base/result.h"
#include "create/inputs.h"

namespace squenv::create {

struct Tool {
    std::string name{};     ///< "uv", "python3", "micromamba"
    std::string path{};     ///< "" when it is not installed
    std::string version{};  ///< "0.9.2"; "" when it does not say
    explicit operator bool() const { return !path.empty(); }
};

struct Tools {
    Tool uv{};
    Tool python{};  ///< what a virtual environment is made with, where there is no uv
    Tool conda{};   ///< micromamba, mamba or conda
};

/// The first word that begins with a digit; "" without one.
[[nodiscard]] std::string version_in(const std::string& text);

/// Whether `wanted`, "" or "3.12", is `version` or the beginning of it.
[[nodiscard]] bool fits_version(const std::string& version, const std::string& wanted);

/// The names under which a Python is looked for: `wanted` is "", a version or a path.
[[nodiscard]] std::string python_program(const std::string& wanted);

/// Looks for what `inputs` needs in PATH, and asks what it finds for its version. Micromamba and
/// conda are often functions of the shell: MAMBA_EXE and CONDA_EXE name the programs.
/// Errors: not_found (`python`, a version or a path, is not there), invalid_argument (it is another
/// version).
[[nodiscard]] Result<Tools> find_tools(const Inputs& inputs, const std::string& python);

}  // namespace squenv::create
