// SPDX-License-Identifier: MIT
// Which packages change from one version of an image to another.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "venv/packages.h"
#include "versions/versions.h"

namespace squenv::cli {

/// Reads the packages of versions. Not thread-safe.
class VersionPackages {
  public:
    /// Errors: those of opening and reading the image; not_found for a version that is none.
    [[nodiscard]] const Result<std::vector<venv::Package>>& of(const versions::Version& version);
    /// From the one to the other. Errors: as of().
    [[nodiscard]] Result<venv::PackageDiff> changes(const versions::Version& before,
                                                    const versions::Version& after);

  private:
    std::map<std::string, Result<std::vector<venv::Package>>> known_{};  ///< by path
};

/// "1.26.4", with the build of conda when `with_build`: where that alone differs.
[[nodiscard]] std::string version_text(const venv::Package& package, bool with_build);
/// "+ einops 0.8.0", "- scipy 1.11.4" and "~ numpy 1.26.4 -> 2.0.0": at most so many lines that a
/// terminal shows several versions, and one that counts the rest.
[[nodiscard]] std::vector<std::string> change_lines(const venv::PackageDiff& changes);
/// {"added": [...], "removed": [...], "updated": [...]}
[[nodiscard]] nlohmann::ordered_json changes_as_json(const venv::PackageDiff& changes);

/// Whether the current version of `image` is a whole image; what cannot be read passes. Errors:
/// unsupported, corrupt.
[[nodiscard]] Status check_current(const std::string& image);

/// "3  2026-11-26 07:12   203.7 MiB".
[[nodiscard]] std::string version_line(const versions::Version& version);
/// A version as a JSON object.
[[nodiscard]] nlohmann::ordered_json version_as_json(const versions::Version& version);

}  // namespace squenv::cli
