// SPDX-License-Identifier: MIT
// Compiled forms of the modules of an environment, made beside it: the environment itself goes on
// being edited, and forms that are never compared with their sources would make that go unnoticed.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"
#include "venv/environment.h"

namespace squenv::venv {

/// They lie in a directory of TMPDIR, or /tmp, that goes with this.
class CompiledForms {
  public:
    /// Runs the environment's own compileall on all cores, once for each of the `levels` of
    /// optimization (0 to 2), with forms that are never checked against their sources. Stops when
    /// `cancel` is set.
    /// Errors: not_found (no bin/python), unsupported (a Python before 3.8), invalid_argument
    /// (TMPDIR is in the tree), io, limit (the disk became full), cancelled, internal (killed).
    [[nodiscard]] static Result<CompiledForms> make(const Environment& environment,
                                                    const std::vector<int>& levels,
                                                    const std::atomic<bool>& cancel);
    CompiledForms(CompiledForms&& other) noexcept;
    CompiledForms& operator=(CompiledForms&&) = delete;
    ~CompiledForms();

    /// The directory they lie in as they would in the environment.
    [[nodiscard]] const std::string& tree() const { return tree_; }
    /// False when some modules cannot be compiled, which is common for templates.
    [[nodiscard]] bool is_complete() const { return is_complete_; }

  private:
    CompiledForms() = default;
    /// Errors: invalid_argument, io.
    [[nodiscard]] Status make_directory(const std::string& root);
    /// Puts what compileall wrote into __pycache__ directories. Errors: io, limit.
    [[nodiscard]] Status fill_caches() const;

    std::string directory_;  ///< "" when it has been moved from
    std::string tree_;
    bool is_complete_ = true;
};

}  // namespace squenv::venv
