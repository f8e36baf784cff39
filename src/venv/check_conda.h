// SPDX-License-Identifier: MIT
// What a prefix of conda takes from elsewhere: the path it was installed for, which its files
// contain, and the package cache, which its files may be links to. Private to this module.
#pragma once

#include <string>
#include <vector>

#include "venv/environment.h"

namespace squenv::venv {

/// A symlink that leaves the tree.
struct OutsideLink {
    std::string path;    ///< relative to the root
    std::string target;  ///< absolute
};

/// Findings by the records of conda in `environment`, which is to be used at `prefix`: files that
/// were installed for another path, and packages that are links into the package cache. The links
/// that these findings cover are taken out of `links`. Reads the files that name their path.
[[nodiscard]] std::vector<Finding> check_conda(const Environment& environment,
                                               const std::string& prefix,
                                               std::vector<OutsideLink>& links);

}  // namespace squenv::venv
