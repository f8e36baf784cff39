// SPDX-License-Identifier: MIT
// Questions that change nothing, and pins.
#include <sys/stat.h>

#include <algorithm>

#include "versions/snapshot.h"
#include "versions/store.h"
#include "versions/versions.h"

namespace squenv::versions {

namespace {

bool is_there(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

Result<std::vector<Version>> history(const std::string& image) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    SQUENV_TRY_ASSIGN(const Snapshot found, take_snapshot(place));
    auto all = found.versions();
    if (all.empty()) return no_image(image);
    return all;
}

Result<Version> current(const std::string& image) {
    SQUENV_TRY_ASSIGN(const auto all, history(image));
    const auto found =
        std::find_if(all.begin(), all.end(), [](const Version& one) { return one.is_current; });
    if (found != all.end()) return *found;
    return fail(Errc::not_found, image + ": has older versions and no current one",
                "'squenv rollback " + image + "' makes the last one current");
}

Result<std::string> resolve(const std::string& name) {
    const auto named = split_version_name(name);
    if (!named || is_there(name)) return name;
    const auto number = parse_version_number(named->digits);
    if (!number && is_there(named->image))
        return fail(Errc::not_found, named->image + ": there is no version " + named->digits,
                    "'squenv history' lists them, from 1 on");
    if (!number) return name;
    SQUENV_TRY_ASSIGN(const Place place, find_place(named->image));
    // The name of a file that is not there, rather than of a version.
    if (!is_there(place.image) && !place.is_directory()) return name;
    if (is_there(place.file(*number))) return place.file(*number);
    SQUENV_TRY_ASSIGN(const Snapshot found, take_snapshot(place));
    const auto version = found.version(*number);
    if (!version) return found.no_such(*number);
    return version->path;
}

Status check_new_name(const std::string& name) {
    const auto named = split_version_name(name);
    if (!named || is_there(name) || !parse_version_number(named->digits)) return {};
    const auto place = find_place(named->image);
    const bool has_image = place && (is_there(place->image) || place->is_directory());
    if (!has_image) return {};
    return fail(Errc::invalid_argument, name + ": would mean a version of " + named->image,
                "choose another name; 'pack -f --keep' adds a version");
}

Status set_pinned(const std::string& image, std::uint64_t number, bool is_pinned) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    if (!place.is_directory()) {
        SQUENV_TRY(history(image));
        return fail(Errc::not_found, image + ": no versions of it are kept", kHowToKeep);
    }
    SQUENV_TRY_ASSIGN(Store store, Store::open(place));
    if (!store.found().version(number)) return store.found().no_such(number);
    if (store.found().log.pinned.contains(number) == is_pinned) return {};
    return store.append(pin_line(number, is_pinned, now()));
}

}  // namespace squenv::versions
