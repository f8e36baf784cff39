// SPDX-License-Identifier: MIT
#include "pack/image_mount.h"

#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <istream>
#include <memory>
#include <sstream>
#include <string_view>

namespace squenv::pack {

namespace {

constexpr std::array<std::string_view, 3> kTypes{"fuse.squenv", "fuse.squashfuse",
                                                 "fuse.squashfuse_ll"};

/// The kernel writes blank, tab, newline and backslash as three octal digits.
std::string unescape(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const char* digits = text.data() + i + 1;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3) {
            plain += static_cast<char>(value);
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

bool is_in(const std::string& directory, const std::string& mountpoint) {
    return directory == mountpoint || directory.starts_with(mountpoint + '/');
}

}  // namespace

std::optional<ImageMount> find_image_mount(std::istream& mountinfo, dev_t device,
                                           const std::string& directory) {
    const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
    std::optional<ImageMount> found;
    for (std::string line; std::getline(mountinfo, line);) {
        std::istringstream words(line);
        std::string word;
        std::string number;
        std::string mountpoint;
        std::string type;
        std::string source;
        words >> word >> word >> number >> word >> mountpoint;
        // Options, as many as there are.
        while (words >> word && word != "-") {
        }
        if (!(words >> type >> source) || number != wanted ||
            std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end())
            continue;
        ImageMount mount{unescape(mountpoint), unescape(source)};
        // One file system may be seen in several places. Of mounts over each other the last counts.
        if (!found || is_in(directory, mount.mountpoint)) found = std::move(mount);
    }
    return found;
}

std::optional<ImageMount> image_mount_of(const std::string& directory) {
    struct stat info {};
    if (::stat(directory.c_str(), &info) != 0) return std::nullopt;
    const std::unique_ptr<char, decltype(&::free)> real(::realpath(directory.c_str(), nullptr),
                                                        &::free);
    std::ifstream mountinfo("/proc/self/mountinfo");
    return find_image_mount(mountinfo, info.st_dev, real ? real.get() : directory);
}

}  // namespace squenv::pack
