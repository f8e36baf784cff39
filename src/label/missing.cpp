// SPDX-License-Identifier: MIT
// Stands in for database.cpp and toml_file.cpp in a build without labels. Digests are found by the
// names of directories.
#include "label/database.h"
#include "label/toml_file.h"

namespace squenv::label {

Result<std::vector<Record>> query_records(const std::string& database, const Label& /*label*/,
                                          bool /*is_partial*/) {
    return fail(Errc::unsupported, database + ": this build reads no labels",
                "name the image file or its digest, or build with -Dlabels=enabled");
}

Result<Settings> parse_toml(std::string_view /*text*/, const std::string& path) {
    return fail(Errc::unsupported, path + ": this build reads no TOML",
                "name the repository in UENV_REPO_PATH, or build with -Dlabels=enabled");
}

}  // namespace squenv::label
