// SPDX-License-Identifier: MIT
// Any lines as /proc/self/mountinfo. Numbers are those of the line, and what is read is written and
// read as the same.
#include <fmt/core.h>

#include <limits>
#include <sstream>
#include <string>
#include <string_view>

#include "base/units.h"
#include "system/mount_table.h"
#include "target.h"

namespace squenv::fuzz {
namespace {

constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::uint32_t>::max();

/// As the kernel writes what would end a word.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || c == '\\')
            out += fmt::format("\\{:03o}", byte);
        else
            out += c;
    }
    return out;
}

std::string line_of(const system::MountEntry& entry) {
    std::string options = "rw";
    if (entry.user_id) options += fmt::format(",user_id={}", *entry.user_id);
    if (entry.group_id) options += fmt::format(",group_id={}", *entry.group_id);
    return fmt::format("30 1 0:{} / {} {},nosuid shared:7 - {} {} {}", entry.device_minor,
                       escaped(entry.mountpoint), entry.is_read_only ? "ro" : "rw", entry.type,
                       escaped(entry.source), options);
}

bool is_same(const system::MountEntry& a, const system::MountEntry& b) {
    return a.mountpoint == b.mountpoint && a.type == b.type && a.source == b.source &&
           a.user_id == b.user_id && a.group_id == b.group_id && a.device_minor == b.device_minor &&
           a.is_read_only == b.is_read_only;
}

bool is_number(std::string_view text, std::uint32_t value) {
    const auto number = parse_number(text, kMaxNumber);
    return number && *number == value;
}

/// Whether an option of `line` says "KEY=VALUE".
bool says(const std::string& line, const std::string& key, std::uint32_t value) {
    std::istringstream words(line);
    for (std::string word; words >> word;) {
        std::istringstream options(word);
        for (std::string option; std::getline(options, option, ',');)
            if (option.starts_with(key + '=') &&
                is_number(std::string_view(option).substr(key.size() + 1), value))
                return true;
    }
    return false;
}

void check_numbers(const std::string& line, const system::MountEntry& entry) {
    std::istringstream words(line);
    std::string device;
    words >> device >> device >> device;
    require(is_number(std::string_view(device).substr(device.find(':') + 1), entry.device_minor),
            "the number of a device is the one of the line");
    require(!entry.user_id || says(line, "user_id", *entry.user_id),
            "the user of a mount is the one of the line");
    require(!entry.group_id || says(line, "group_id", *entry.group_id),
            "the group of a mount is the one of the line");
}

void check_line(const std::string& line) {
    const auto entry = system::parse_mountinfo_line(line);
    if (!entry) return;
    require(!entry->mountpoint.empty() && !entry->type.empty() && !entry->source.empty(),
            "a mount has a place, a type and a source");
    check_numbers(line, *entry);
    const auto again = system::parse_mountinfo_line(line_of(*entry));
    require(again && is_same(*again, *entry), "a mount is written and read as the same");
}

constexpr const char* kTable =
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "23 22 0:22 / /proc rw,nosuid shared:12 - proc proc rw\n"
    "512 30 0:57 / /apps/my\\040env ro,nosuid,nodev,relatime shared:7 master:1 - fuse.squenv "
    "/images/a\\134b.sqfs ro,user_id=1000,group_id=100,allow_other\n"
    "513 30 0:58 / /m ro - fuse.squashfuse_ll squashfuse_ll ro,user_id=0,group_id=0\n";

}  // namespace

std::vector<ByteVector> seeds() {
    std::vector<ByteVector> all{bytes_of(kTable)};
    std::istringstream lines(kTable);
    for (std::string line; std::getline(lines, line);) {
        require(system::parse_mountinfo_line(line).has_value(), "a line of the kernel is read");
        all.push_back(bytes_of(line));
    }
    return all;
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(squenv::as_text(squenv::fuzz::view(data, size)));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) squenv::fuzz::check_line(line);
    return 0;
}
