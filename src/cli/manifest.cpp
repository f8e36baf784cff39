// SPDX-License-Identifier: MIT
#include "cli/manifest.h"

#include <filesystem>

#include "system/mount_table.h"

namespace squenv::cli {

Result<std::string> recorded_mountpoint(const appendix::Manifest& manifest,
                                        const std::string& subdir) {
    const std::string& recorded = manifest.mount_point;
    if (recorded.empty()) return std::string();
    if (recorded[0] != '/')
        return fail(Errc::corrupt, "manifest: the mount point '" + recorded + "' is not absolute");
    if (subdir.find_first_not_of('/') == std::string::npos) return recorded;
    // The user writes the subdirectory in any way that names it.
    const auto below = std::filesystem::path(subdir).relative_path().lexically_normal();
    return below == "." ? recorded : (std::filesystem::path(recorded) / below).string();
}

bool is_same_place(const std::string& one, const std::string& other) {
    return system::canonical_mountpoint(one).value_or(one) ==
           system::canonical_mountpoint(other).value_or(other);
}

}  // namespace squenv::cli
