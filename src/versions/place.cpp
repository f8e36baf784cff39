// SPDX-License-Identifier: MIT
#include "versions/place.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include "base/output_path.h"
#include "base/paths.h"

namespace squenv::versions {

std::string Place::file(std::uint64_t number, std::string_view suffix) const {
    return directory + '/' + std::to_string(number) + std::string(suffix);
}

bool Place::is_directory() const {
    struct stat info {};
    return ::stat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

namespace {

/// In a directory for all, such as /tmp, any user can have made the directory of versions.
Status check_owner(const Place& place) {
    struct stat parent {};
    struct stat link {};
    struct stat directory {};
    struct stat image {};
    if (::stat(output_directory(place.image).c_str(), &parent) != 0 ||
        (parent.st_mode & S_ISVTX) == 0 || ::lstat(place.directory.c_str(), &link) != 0)
        return {};
    const bool has_image = ::lstat(place.image.c_str(), &image) == 0;
    const auto is_trusted = [&](uid_t user) {
        return user == 0 || user == ::geteuid() || user == parent.st_uid ||
               (has_image && user == image.st_uid);
    };
    const bool is_there = ::stat(place.directory.c_str(), &directory) == 0;
    if (is_trusted(link.st_uid) && (!is_there || is_trusted(directory.st_uid))) return {};
    return fail(Errc::denied,
                fmt::format("{}: belongs to user {}, who can put anything there", place.directory,
                            is_there ? directory.st_uid : link.st_uid),
                "put the image into a directory of yours");
}

}  // namespace

Result<Place> find_place(const std::string& image) {
    SQUENV_TRY_ASSIGN(std::string target, follow_links(image));
    std::string directory = target + ".versions";
    Place place{std::move(target), std::move(directory)};
    SQUENV_TRY(check_owner(place));
    return place;
}

tl::unexpected<Error> no_image(const std::string& image) {
    const auto version = split_version_name(image);
    if (version && exists(version->image))
        return fail(Errc::not_found, image + ": is a version, and this takes an image",
                    "name the image alone, without @" + version->digits);
    return fail_errno(ENOENT, image, "'squenv pack' makes an image of a directory");
}

std::optional<VersionName> split_version_name(const std::string& name) {
    const auto at = name.rfind('@');
    if (at == std::string::npos || at == 0 || at + 1 == name.size()) return std::nullopt;
    if (name.find_first_not_of("0123456789", at + 1) != std::string::npos) return std::nullopt;
    return VersionName{name.substr(0, at), name.substr(at + 1)};
}

std::optional<std::uint64_t> parse_version_number(std::string_view text) {
    constexpr std::uint64_t kMost = 999'999'999;
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || rest != end || text.starts_with('0') || number > kMost)
        return std::nullopt;
    return number;
}

std::optional<std::uint64_t> number_of_name(std::string_view name, std::string_view suffix) {
    if (!name.ends_with(suffix)) return std::nullopt;
    name.remove_suffix(suffix.size());
    return parse_version_number(name);
}

}  // namespace squenv::versions
