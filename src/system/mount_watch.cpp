// SPDX-License-Identifier: MIT
#include "system/mount_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "base/file_io.h"
#include "system/mount_table.h"

namespace squenv::system {

Result<MountWatch> MountWatch::open() {
    SQUENV_TRY_ASSIGN(auto table, open_file("/proc/self/mountinfo", O_RDONLY));
    return MountWatch(std::move(table));
}

bool MountWatch::has_mount(std::uint32_t device_minor) const {
    if (::lseek(table_.get(), 0, SEEK_SET) != 0) return true;
    const auto text = read_to_end(table_.get());
    if (!text) return true;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        const auto entry = parse_mountinfo_line(line);
        if (entry && entry->type.starts_with("fuse") && entry->device_minor == device_minor)
            return true;
    }
    return false;
}

}  // namespace squenv::system
