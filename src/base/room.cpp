// SPDX-License-Identifier: MIT
#include "base/room.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/file_io.h"
#include "base/temporary_name.h"
#include "base/unique_fd.h"

namespace squenv {

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

/// The names of the files of one version of control groups.
struct Files {
    const char* limit;
    const char* high;  ///< of a limit that slows down; "" where there is none
    const char* used;
    /// In memory.stat: pages of files, without those of tmpfs. Version 1 counts those of the
    /// groups below only in the totals.
    const char* inactive;
    const char* active;
};
constexpr Files kVersion1{"memory.limit_in_bytes", "", "memory.usage_in_bytes",
                          "total_inactive_file", "total_active_file"};
constexpr Files kVersion2{"memory.max", "memory.high", "memory.current", "inactive_file",
                          "active_file"};

/// Nothing for "max" and for a file that is not there.
std::optional<std::uint64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

/// The number after `name` in a file of lines such as "name 123"; 0 without it.
std::uint64_t field_in(const std::string& path, std::string_view name) {
    std::ifstream file(path);
    std::string key;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::uint64_t number = 0;
        if (words >> key >> number && key == name) return number;
    }
    return 0;
}

std::uint64_t room_of(const std::string& directory, const Files& files) {
    const std::uint64_t limit =
        std::min(number_in(directory + '/' + files.limit).value_or(kNoLimit),
                 number_in(directory + '/' + files.high).value_or(kNoLimit));
    const auto used = number_in(directory + '/' + files.used);
    if (limit == kNoLimit || !used) return kNoLimit;
    const std::string statistics = directory + "/memory.stat";
    const std::uint64_t cached =
        field_in(statistics, files.inactive) + field_in(statistics, files.active);
    const std::uint64_t held = *used - std::min(*used, cached);
    return limit - std::min(limit, held);
}

/// The smallest room from `group` up. In a container the path may begin above what is mounted.
std::uint64_t room_up(const std::string& mounted, std::string group, const Files& files) {
    std::uint64_t room = room_of(mounted, files);
    while (group.size() > 1) {
        room = std::min(room, room_of(mounted + group, files));
        group.resize(group.rfind('/'));
    }
    return room;
}

bool has_part(std::string_view list, std::string_view part) {
    while (true) {
        const auto comma = list.find(',');
        if (list.substr(0, comma) == part) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace

std::uint64_t memory_room(const std::string& root) {
    const std::string groups = root + "/sys/fs/cgroup";
    std::uint64_t room = kNoLimit;
    // "MemAvailable:" counts dropped caches as free, in KiB.
    constexpr std::uint64_t kKib = 1024;
    if (const auto free = field_in(root + "/proc/meminfo", "MemAvailable:"); free > 0)
        room = free * kKib;
    std::ifstream file(root + "/proc/self/cgroup");
    // "4:memory:/job", "0::/job"
    for (std::string line; std::getline(file, line);) {
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty())
            room = std::min({room, room_up(groups, group, kVersion2),
                             room_up(groups + "/unified", group, kVersion2)});
        else if (has_part(controllers, "memory"))
            room = std::min(room, room_up(groups + "/memory", group, kVersion1));
    }
    return room;
}

std::uint64_t room_in(const std::string& directory) {
    struct statvfs disk {};
    struct statfs type {};
    if (::statvfs(directory.c_str(), &disk) != 0) return 0;
    const std::uint64_t room = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    const bool is_memory = ::statfs(directory.c_str(), &type) == 0 &&
                           (type.f_type == TMPFS_MAGIC || type.f_type == RAMFS_MAGIC);
    return is_memory ? std::min(room, memory_room()) : room;
}

Status try_room(const std::string& directory) {
    const std::string path = unique_name(directory + "/squenv-room-");
    SQUENV_TRY_ASSIGN(const auto file, open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    ::unlink(path.c_str());
    const std::vector<std::byte> piece(std::size_t{1} << 20U);
    const auto status = write_all(file.get(), piece);
    return status ? status : with_context(status.error(), directory);
}

}  // namespace squenv
