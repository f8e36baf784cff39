// SPDX-License-Identifier: MIT
#include "system/mount_table.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>
#include <system_error>

namespace squenv::system {

namespace {

/// The kernel writes blank, tab, newline and backslash as three octal digits each.
std::string unescape(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(&text[i + 1], &text[i + 4], value, 8).ptr == &text[i + 4] &&
            value <= 0xFF) {
            plain += static_cast<char>(value);
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

/// All of `text` as a number. Nothing when it is no number or too large: neither may read as 0.
std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || rest != end) return std::nullopt;
    return value;
}

std::optional<std::uint32_t> find_number(const std::string& options, const std::string& key) {
    std::stringstream stream(options);
    for (std::string option; std::getline(stream, option, ',');) {
        if (!option.starts_with(key + '=')) continue;
        if (const auto value = number_of(std::string_view(option).substr(key.size() + 1)))
            return value;
    }
    return std::nullopt;
}

/// Whether `entry` is the overlay above a mount of this program before it, which learns of that.
bool is_own_overlay(const MountEntry& entry, std::vector<MountEntry>& before) {
    if (entry.source != kOverlaySource || entry.type != "overlay") return false;
    const auto below = std::find_if(before.rbegin(), before.rend(), [&](const MountEntry& other) {
        return other.mountpoint == entry.mountpoint;
    });
    if (below == before.rend() || !below->is_squenv()) return false;
    below->overlay_minor = entry.device_minor;
    return true;
}

}  // namespace

bool MountEntry::is_squenv() const {
    return std::any_of(kSubtypes.begin(), kSubtypes.end(),
                       [&](const char* subtype) { return type == std::string("fuse.") + subtype; });
}

bool MountEntry::is_trusted_by(std::uint32_t user) const {
    return user_id && (*user_id == user || *user_id == 0);
}

std::optional<MountEntry> parse_mountinfo_line(const std::string& line) {
    std::istringstream words(line);
    std::string id;
    std::string parent;
    std::string device;
    std::string root;
    std::string mountpoint;
    std::string options;
    if (!(words >> id >> parent >> device >> root >> mountpoint >> options)) return std::nullopt;
    std::string word;
    while (words >> word && word != "-") {
    }
    MountEntry entry;
    std::string super_options;
    if (word != "-" || !(words >> entry.type >> entry.source)) return std::nullopt;
    words >> super_options;
    entry.mountpoint = unescape(mountpoint);
    entry.source = unescape(entry.source);
    entry.user_id = find_number(super_options, "user_id");
    entry.group_id = find_number(super_options, "group_id");
    entry.is_read_only = options == "ro" || options.starts_with("ro,");
    const auto colon = device.find(':');
    if (colon == std::string::npos) return std::nullopt;
    const auto mount_id = number_of(id);
    const auto minor_number = number_of(std::string_view(device).substr(colon + 1));
    if (!mount_id || !minor_number) return std::nullopt;
    entry.mount_id = *mount_id;
    entry.device_minor = *minor_number;
    return entry;
}

std::vector<MountEntry> parse_mount_table(std::istream& lines) {
    std::vector<MountEntry> entries;
    for (std::string line; std::getline(lines, line);)
        if (auto entry = parse_mountinfo_line(line); entry && !is_own_overlay(*entry, entries))
            entries.push_back(std::move(*entry));
    return entries;
}

Result<std::vector<MountEntry>> read_mount_table() {
    std::ifstream file("/proc/self/mountinfo");
    if (!file) return fail_errno(errno, "/proc/self/mountinfo", "mount /proc");
    return parse_mount_table(file);
}

Result<std::optional<MountEntry>> find_mount(const std::string& path) {
    SQUENV_TRY_ASSIGN(auto entries, read_mount_table());
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
        if (entry->mountpoint == path) return std::move(*entry);
    return std::nullopt;
}

bool is_mountpoint(const std::string& path) {
    const auto entry = find_mount(path);
    return entry && *entry;
}

std::uint32_t minor_at(const std::string& path) {
    const auto entry = find_mount(path);
    return entry && *entry ? (*entry)->device_minor : 0;
}

std::optional<std::uint32_t> mount_id_of(int descriptor) {
    constexpr std::string_view kKey = "mnt_id:\t";
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(descriptor));
    for (std::string line; std::getline(info, line);)
        if (line.starts_with(kKey)) return number_of(std::string_view(line).substr(kKey.size()));
    return std::nullopt;
}

std::optional<std::string> mountpoint_of_device(std::uint32_t device_minor) {
    const auto entries = read_mount_table();
    if (!entries) return std::nullopt;
    for (const auto& entry : *entries)
        if (entry.device_minor == device_minor && entry.type.starts_with("fuse"))
            return entry.mountpoint;
    return std::nullopt;
}

bool has_fuse_mount(const std::string& path) {
    const auto entry = find_mount(path);
    return entry && *entry && (*entry)->type.starts_with("fuse");
}

Result<std::string> canonical_mountpoint(const std::string& path) {
    std::error_code error;
    auto absolute = std::filesystem::absolute(path, error).lexically_normal();
    if (path.empty()) return fail_errno(EINVAL, "''");
    if (error)
        return fail_errno(error.value(), "'" + path + "': the working directory",
                          "change to a directory that is there, or give the whole path");
    if (!absolute.has_filename()) absolute = absolute.parent_path();
    if (absolute == absolute.root_path()) return absolute.string();
    const auto real = [](const std::filesystem::path& name) {
        return std::unique_ptr<char, decltype(&std::free)>(::realpath(name.c_str(), nullptr),
                                                           &std::free);
    };
    const auto parent = real(absolute.parent_path());
    const int parent_code = errno;
    std::string result;
    if (parent) {
        result = parent.get();
        if (result != "/") result += '/';
        result += absolute.filename().string();
        // A mount there may wait for a daemon that does not answer, or may have lost its daemon.
        if (has_fuse_mount(result)) return result;
    }
    // A symlink as the last part is followed only when its target can be looked at.
    if (const auto whole = real(absolute)) return std::string(whole.get());
    if (parent) return result;
    if (parent_code != ENOENT && parent_code != EACCES)
        return fail_errno(parent_code, absolute.parent_path().string());
    // An entry of a directory that this process may not enter keeps its given name.
    SQUENV_TRY_ASSIGN(result, canonical_mountpoint(absolute.parent_path().string()));
    if (result != "/") result += '/';
    return result + absolute.filename().string();
}

}  // namespace squenv::system
