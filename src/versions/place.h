// SPDX-License-Identifier: MIT
// Where the versions of an image lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace squenv::versions {

/// What follows the number in the names of files.
inline constexpr std::string_view kKeptSuffix = ".squashfs";
/// A new version that is about to become current, or for a moment the one that it replaced.
inline constexpr std::string_view kIncomingSuffix = ".incoming";
/// A copy that is not complete.
inline constexpr std::string_view kCopySuffix = ".copying";

/// In front of other names of files that are about to be versions.
inline constexpr std::string_view kSecondName = "rollback.";
/// In front of the names of new files that get their access rights before their name.
inline constexpr std::string_view kUnnamed = "new.";

struct Place {
    std::string image;      ///< links are followed
    std::string directory;  ///< IMAGE.versions

    [[nodiscard]] std::string log() const { return directory + "/log"; }
    [[nodiscard]] std::string lock() const { return directory + "/lock"; }
    [[nodiscard]] std::string file(std::uint64_t number,
                                   std::string_view suffix = kKeptSuffix) const;
    [[nodiscard]] bool is_directory() const;
};

/// Errors: denied (also: the directory of versions may be a trap of another user), io (a loop of
/// links).
[[nodiscard]] Result<Place> find_place(const std::string& image);

/// That there is no `image`; it may be the name of a version, where an image has to be named.
[[nodiscard]] tl::unexpected<Error> no_image(const std::string& image);

/// What keeps versions, for the user.
inline constexpr const char* kHowToKeep =
    "versions are kept by 'pack -f --keep', 'create -f --keep' and 'edit'";

/// A name as those of versions: digits follow its last "@", after the name of an image.
struct VersionName {
    std::string image;
    std::string digits;  ///< not always a number that a version can have
};
[[nodiscard]] std::optional<VersionName> split_version_name(const std::string& name);

/// "12" -> 12; nothing for any other form of it, and for numbers that no version has.
[[nodiscard]] std::optional<std::uint64_t> parse_version_number(std::string_view text);
/// "12.squashfs" with that suffix -> 12.
[[nodiscard]] std::optional<std::uint64_t> number_of_name(std::string_view name,
                                                          std::string_view suffix);

}  // namespace squenv::versions
