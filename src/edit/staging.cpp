// SPDX-License-Identifier: MIT
#include "edit/staging.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "base/environment.h"
#include "base/temporary_name.h"
#include "base/units.h"
#include "cache/entry.h"
#include "edit/overlay.h"

namespace squenv::edit {

namespace {

/// For what one session installs. Less is taken only when no place has as much.
constexpr std::uint64_t kComfort = 1U << 30;
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
constexpr long kTmpfsMagic = 0x01021994;

/// The number in a file of a control group; nothing for "max", or without the file.
std::optional<std::uint64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

/// What the control groups of this process leave of memory: pages of a tmpfs are charged to it.
std::uint64_t memory_left() {
    std::ifstream groups("/proc/self/cgroup");
    std::uint64_t left = kUnlimited;
    for (std::string line; std::getline(groups, line);) {
        const bool is_second = line.starts_with("0::");
        const bool is_first = line.find(":memory:") != std::string::npos;
        if (!is_second && !is_first) continue;
        const std::string root = is_second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
        const std::string limit = is_second ? "/memory.max" : "/memory.limit_in_bytes";
        const std::string usage = is_second ? "/memory.current" : "/memory.usage_in_bytes";
        std::string group = line.substr(line.rfind(':') + 1);
        for (;; group.erase(group.rfind('/'))) {
            const std::string at = root + (group == "/" ? "" : group);
            const auto most = number_in(at + limit);
            const auto used = number_in(at + usage);
            if (most && used) left = std::min(left, *most > *used ? *most - *used : 0);
            if (group.empty() || group == "/") break;
        }
    }
    return left;
}

/// The bytes that this user may write there.
std::uint64_t room_in(const std::string& directory) {
    struct statvfs disk {};
    struct statfs type {};
    if (::statvfs(directory.c_str(), &disk) != 0) return 0;
    const std::uint64_t room = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    const bool is_memory =
        ::statfs(directory.c_str(), &type) == 0 && static_cast<long>(type.f_type) == kTmpfsMagic;
    return is_memory ? std::min(room, memory_left()) : room;
}

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
    std::string path = unique_name((parent / "squenv-edit-").string());
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
