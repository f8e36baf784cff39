// SPDX-License-Identifier: MIT
// What differs between two images, as text and as JSON.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "diff/files.h"
#include "venv/packages.h"

namespace squenv::cli {

struct ImageDiff {
    std::string before{};  ///< the images, as the user wrote them
    std::string after{};
    std::string python_before{};  ///< versions of the Python they were made for, or ""
    std::string python_after{};
    venv::PackageDiff packages{};
    bool has_files = true;  ///< false: only packages were compared
    std::vector<diff::FileDifference> files{};

    [[nodiscard]] bool is_empty() const;
};

/// Without `is_complete`, a directory that only one image has is one line, and compiled modules are
/// counted together. Prints nothing when nothing differs.
void print_diff(std::ostream& out, const ImageDiff& diff, bool is_complete);

/// Everything, as a JSON object.
[[nodiscard]] std::string diff_as_json(const ImageDiff& diff);

}  // namespace squenv::cli
