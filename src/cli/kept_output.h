// SPDX-License-Identifier: MIT
// An output that takes the place of an image, which is kept as a version.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "pack/output_file.h"
#include "versions/versions.h"

namespace squenv::cli {

/// Without versions it changes nothing.
class KeptOutput {
  public:
    KeptOutput() = default;
    /// For the image at `output`, made by this process with the command `verb`. It is kept when
    /// there are versions of it already, or with `keep`. Errors: those of check_publish().
    [[nodiscard]] static Result<KeptOutput> of(const std::string& output, const char* verb,
                                               bool keep);
    /// How an image gets the name `path`; empty for other paths than that of the output.
    [[nodiscard]] pack::Replace replace_for(const std::string& path) const;
    /// The number of the new version once it has its name; 0 without versions.
    [[nodiscard]] std::uint64_t version() const { return made_ ? *made_ : 0; }

  private:
    std::string output_{};
    versions::Origin origin_{};
    bool keep_ = false;
    std::shared_ptr<std::uint64_t> made_{};  ///< null without versions
};

}  // namespace squenv::cli
