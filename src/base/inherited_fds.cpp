// SPDX-License-Identifier: MIT
#include "base/inherited_fds.h"

#include <dirent.h>

#include <charconv>
#include <cstring>
#include <memory>

namespace squenv {

std::vector<int> inherited_descriptors() {
    std::vector<int> descriptors;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), &::closedir);
    if (!directory) return descriptors;
    while (const dirent* entry = ::readdir(directory.get())) {
        int fd = -1;
        std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), fd);
        if (fd > 2 && fd != ::dirfd(directory.get())) descriptors.push_back(fd);
    }
    return descriptors;
}

}  // namespace squenv
