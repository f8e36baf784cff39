// SPDX-License-Identifier: MIT
#include "edit/staging.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/environment.h"
#include "base/room.h"
#include "base/temporary_name.h"
#include "base/units.h"
#include "cache/entry.h"
#include "edit/overlay.h"

namespace squenv::edit {

namespace {

/// For what one session installs. Less is taken only when no place has as much.
constexpr std::uint64_t kComfort = 1U << 30;

std::vector<std::string> usual_places(const std::string& beside) {
    std::vector<std::string> places{"/dev/shm"};
    if (const auto temporary = environment_variable("TMPDIR"); !temporary.empty())
        places.push_back(temporary);
    places.insert(places.end(), {"/tmp", "/var/tmp", beside});
    return places;
}

Result<std::string> make_directory_in(const std::string& place, const Announce& announce) {
    std::error_code error;
    const auto parent = std::filesystem::canonical(place, error);
    if (error) return fail_errno(error.value(), place);
    std::string path = unique_name((parent / kStaging).string());
    SQUENV_TRY(announce(path));
    if (::mkdir(path.c_str(), 0700) != 0) return fail_errno(errno, place);
    return path;
}

/// A place that was tried.
struct Tried {
    std::string place{};
    std::uint64_t room = 0;
    std::string refusal{};
};

std::string as_line(const std::vector<Tried>& all) {
    std::string line;
    for (const auto& [place, room, refusal] : all)
        line += (line.empty() ? "" : "; ") + place + ": " + refusal;
    return line;
}

}  // namespace

Result<Staging> make_staging(const std::string& wanted, const std::string& beside,
                             std::uint64_t tree_bytes, const Announce& announce) {
    const auto places = wanted.empty() ? usual_places(beside) : std::vector<std::string>{wanted};
    std::vector<Tried> tried;
    for (const auto& place : places) tried.push_back({place, room_in(place), {}});
    if (wanted.empty())
        std::stable_partition(tried.begin(), tried.end(),
                              [](const Tried& one) { return one.room >= kComfort; });
    for (auto& one : tried) {
        const auto directory = make_directory_in(one.place, announce);
        if (!directory && !wanted.empty()) return tl::unexpected(directory.error());
        if (!directory) {
            one.refusal = directory.error().message();
            one.room = 0;
            continue;
        }
        const auto status = try_overlay(*directory);
        if (status) return Staging{*directory, Kind::overlay, {}};
        one.refusal = status.error().message();
        ::rmdir(directory->c_str());
    }
    const auto roomy = std::find_if(tried.begin(), tried.end(),
                                    [&](const Tried& one) { return one.room >= tree_bytes; });
    if (roomy == tried.end())
        return fail(Errc::limit,
                    fmt::format("no place for the changes: no overlay ({}), and no {} for an "
                                "unpacked copy",
                                as_line(tried), format_size(tree_bytes)),
                    "name a directory with --staging");
    SQUENV_TRY_ASSIGN(auto directory, make_directory_in(roomy->place, announce));
    return Staging{std::move(directory), Kind::tree, roomy->refusal};
}

}  // namespace squenv::edit
