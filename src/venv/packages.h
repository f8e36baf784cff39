// SPDX-License-Identifier: MIT
// Which packages an environment has, and how those of two environments differ.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "venv/file_tree.h"

namespace squenv::venv {

/// An installed package, or one of conda.
struct Package {
    std::string name{};  ///< as its own metadata write it
    std::string version{};
    std::string build{};  ///< of conda, as "py311h64a7726_0"; "" of others
    bool operator==(const Package&) const = default;
};

/// No environment is known to have a tenth of them; what is beyond is left out.
inline constexpr std::size_t kMaxPackages = 20'000;

/// The name by which packages are compared (PEP 503): "Flask_SQLAlchemy" is "flask-sqlalchemy".
[[nodiscard]] std::string normalised_name(std::string_view name);

/// The package that a file of conda-meta is the record of; one without a name when it is none.
/// conda refuses records with another name than NAME-VERSION-BUILD.json, so that says all.
[[nodiscard]] Package conda_package(std::string_view file_name);

/// The packages of the environment in `tree`, or of the one in it that is at a usual place, as
/// ".venv": by the *.dist-info and *.egg-info of its modules, and by conda-meta. One that Python
/// and conda both know is named once. Sorted by normalised name, then by version. Empty for a tree
/// without packages. Errors: those of the tree.
[[nodiscard]] Result<std::vector<Package>> installed_packages(const FileTree& tree);

/// One package in two versions or builds.
struct PackageUpdate {
    Package before;
    Package after;
    bool operator==(const PackageUpdate&) const = default;
};

/// All lists are sorted as those of installed_packages().
struct PackageDiff {
    std::vector<Package> added{};
    std::vector<Package> removed{};
    std::vector<PackageUpdate> updated{};

    [[nodiscard]] bool is_empty() const {
        return added.empty() && removed.empty() && updated.empty();
    }
};

/// Both lists are sorted, as installed_packages() returns them.
[[nodiscard]] PackageDiff compare_packages(const std::vector<Package>& before,
                                           const std::vector<Package>& after);

}  // namespace squenv::venv
