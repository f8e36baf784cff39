// SPDX-License-Identifier: MIT
#include "run/destination.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "base/environment.h"
#include "base/paths.h"
#include "base/text.h"
#include "run/tree_link.h"
#include "system/mount_table.h"
#include "venv/kind.h"

namespace squenv::run {

namespace {

using Text = std::string_view;
using Parts = std::vector<Text>;

/// Directories in which users create their own: what is below them may be mounted on.
constexpr auto kShared =
    std::to_array<Text>({"/", "/dev/shm", "/home", "/media", "/mnt", "/opt", "/root", "/srv",
                         "/tmp", "/usr", "/usr/local", "/var", "/var/lib", "/var/tmp"});
/// Used by name, by the kernel or by programs that run as root: shells, the dynamic loader, cron,
/// systemd, the package manager.
constexpr auto kSystem =
    std::to_array<Text>({"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32",
                         "/proc", "/run", "/sbin", "/sys", "/var/backups", "/var/cache",
                         "/var/lock", "/var/log", "/var/mail", "/var/run", "/var/spool"});
/// The standard directories of /usr and /usr/local. Sites have others beside them, such as
/// /usr/workspace, and /usr/local/venvs is a common place.
constexpr auto kStandard =
    std::to_array<Text>({"bin", "etc", "games", "include", "lib", "lib32", "lib64", "libexec",
                         "libx32", "man", "sbin", "share", "src"});
/// Keys and settings, and what shells, Python, Git and desktops load by themselves.
constexpr auto kPrivate =
    std::to_array<Text>({".aws", ".azure", ".bashrc.d", ".config", ".docker", ".git", ".globus",
                         ".gnupg", ".ipython", ".jupyter", ".kube", ".mozilla", ".pki",
                         ".password-store", ".ssh", ".thunderbird", ".vim", ".vnc", ".vscode"});
constexpr auto kPrivateTrees = std::to_array<Text>({".local/bin", ".local/lib"});
/// The directories below which tools make their environments.
constexpr auto kToolTrees =
    std::to_array<Text>({".cache", ".direnv", ".nox", ".tox", ".pyenv/versions", ".local/pipx",
                         ".local/share/pipx", ".local/share/hatch", ".local/share/uv"});

constexpr const char* kOfSystem = "programs of the system use what is there";
constexpr const char* kOfKeys = "keys or settings are kept there";

template <std::size_t Size>
bool has(const std::array<Text, Size>& list, Text text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

bool is_below(Text path, Text directory) {
    if (directory == "/") return path.size() > 1;
    return path.size() > directory.size() && path.starts_with(directory) &&
           path[directory.size()] == '/';
}

bool is_at_or_below(Text path, Text directory) {
    return path == directory || is_below(path, directory);
}

/// What is between the slashes of a path that begins with one; nothing for "/".
Parts split(Text path) {
    Parts parts;
    while (path.size() > 1) {
        path.remove_prefix(1);
        parts.push_back(path.substr(0, path.find('/')));
        path.remove_prefix(parts.back().size());
    }
    return parts;
}

/// Each of these returns a reason against a path, or nullptr.
const char* reason_in_words(const std::string& path) {
    if (!path.starts_with('/')) return "it does not begin at the root";
    if (printable(path) != path) return "it has control characters";
    if (path.find(':') != std::string::npos) return "it has a colon, at which PATH is split";
    if (path.find("//") != std::string::npos) return "it has an empty part";
    for (const Text part : split(path))
        if (part == "." || part == "..") return "it has '.' or '..' in it";
    return nullptr;
}

const char* reason_of_system(Text path, const std::vector<std::string>& homes) {
    if (has(kShared, path)) return kOfSystem;
    if (is_below(path, "/dev/shm")) return nullptr;
    for (const Text tree : kSystem)
        if (is_at_or_below(path, tree)) return kOfSystem;
    const Parts parts = split(path);
    const std::size_t at = parts.size() > 1 && parts[1] == "local" ? 2 : 1;
    if (parts[0] == "usr" && parts.size() > at && has(kStandard, parts[at])) return kOfSystem;
    // Services keep their state there; for some of them it is the home directory.
    const auto is_home = [&](const std::string& home) {
        return is_below(home, "/var/lib") && is_below(path, home);
    };
    if (is_below(path, "/var/lib") && std::none_of(homes.begin(), homes.end(), is_home))
        return kOfSystem;
    return nullptr;
}

const char* reason_of_home(Text path, const std::vector<std::string>& homes) {
    const auto is_hidden = [&](const std::string& home) { return is_at_or_below(home, path); };
    if (std::any_of(homes.begin(), homes.end(), is_hidden))
        return "your home directory is there or below";
    const auto is_program_directory = [&](const std::string& home) {
        return path == home + "/bin";
    };
    if (std::any_of(homes.begin(), homes.end(), is_program_directory))
        return "shells look for programs there";
    return nullptr;
}

/// The part of `path` that begins with its first hidden directory, or "". Below the home directory
/// that is at any depth. Elsewhere it is not in the root, where only an administrator creates
/// directories.
Text hidden_part(Text path, const std::vector<std::string>& homes) {
    std::size_t begin = 0;
    bool is_in_home = false;
    for (const std::string& home : homes) {
        if (!is_below(path, home)) continue;
        is_in_home = true;
        if (home != "/") begin = std::max(begin, home.size());
    }
    if (!is_in_home) begin = path.find('/', 1);
    const std::size_t hidden = begin == Text::npos ? begin : path.find("/.", begin);
    return hidden == Text::npos ? Text() : path.substr(hidden + 1);
}

/// "envs", ".venv", ".virtualenvs", "my-venv", ...
bool is_environment_name(Text name) {
    std::string word(name);
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (word.starts_with('.')) word.erase(0, 1);
    return word == "env" || word.ends_with("envs") || word.find("venv") != std::string::npos ||
           word.find("virtualenv") != std::string::npos;
}

/// Whether programs look for nothing but environments in a hidden directory.
bool is_kept_for_environments(Text hidden) {
    for (const Text tree : kToolTrees)
        if (is_below(hidden, tree)) return true;
    const std::string absolute = '/' + std::string(hidden);
    const Parts parts = split(absolute);
    const auto is_named = [&](std::size_t index) {
        return index < parts.size() && is_environment_name(parts[index]);
    };
    // ~/.venv, project/.tools/.venv; ~/.conda/envs/x; ~/.local/share/envs/x, .../micromamba/envs/x.
    for (std::size_t i = 0; i < parts.size(); ++i)
        if (parts[i].starts_with('.') && is_named(i)) return true;
    return is_named(1) || (is_below(hidden, ".local/share") && (is_named(2) || is_named(3)));
}

const char* reason_of_hidden(Text path, const std::vector<std::string>& homes,
                             Occupancy occupancy) {
    const Text hidden = hidden_part(path, homes);
    if (hidden.empty()) return nullptr;
    for (const Text tree : kPrivateTrees)
        if (is_at_or_below(hidden, tree)) return kOfKeys;
    const std::string absolute = '/' + std::string(hidden);
    for (const Text part : split(absolute))
        if (has(kPrivate, part)) return kOfKeys;
    if (occupancy == Occupancy::environment || occupancy == Occupancy::mounted ||
        is_kept_for_environments(hidden))
        return nullptr;
    return "it is in a hidden directory, where programs take what they find";
}

const char* reason_against(Text path, const RecordedDestination& place) {
    if (const char* reason = reason_of_system(path, place.homes)) return reason;
    if (const char* reason = reason_of_home(path, place.homes)) return reason;
    return reason_of_hidden(path, place.homes, place.occupancy);
}

/// The home directories of this user, and of root for root: sudo keeps the variable in some
/// configurations. The user database is not read: its services may start threads.
std::vector<std::string> home_directories() {
    std::vector<std::string> homes{environment_variable("HOME")};
    if (::geteuid() == 0) homes.emplace_back("/root");
    for (std::string& home : homes)
        while (home.size() > 1 && home.ends_with('/')) home.pop_back();
    for (std::size_t i = homes.size(); i-- > 0;) homes.push_back(real_path(homes[i]));
    std::erase_if(homes, [](const std::string& home) { return !home.starts_with('/'); });
    return homes;
}

/// True for an environment, or a project with one in it.
bool holds_environment(const std::string& directory) {
    if (venv::environment_kind_at(directory) != venv::EnvironmentKind::none) return true;
    return !venv::inner_environment([&directory](const std::string& path) {
                return ::access((directory + '/' + path).c_str(), F_OK) == 0;
            }).empty();
}

bool is_empty(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) return false;
    while (const dirent* entry = ::readdir(directory.get()))
        if (Text(entry->d_name) != "." && Text(entry->d_name) != "..") return false;
    return true;
}

/// Before a place is refused.
constexpr int kLooks = 3;

Occupancy occupancy_of(const std::string& path, const std::string& root) {
    // A daemon may be dead or another user's, and must not be queried.
    const auto entry = system::find_mount(path);
    if (entry && *entry && ((*entry)->type == "fuse" || (*entry)->type.starts_with("fuse.")))
        return (*entry)->is_squenv() ? Occupancy::mounted : Occupancy::other;
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return Occupancy::missing;
    if (!S_ISDIR(info.st_mode)) return Occupancy::other;
    if (holds_environment(path) || holds_environment(root)) return Occupancy::environment;
    return is_empty(path) ? Occupancy::empty : Occupancy::other;
}

}  // namespace

Status check_recorded_destination(const RecordedDestination& place) {
    const std::string& canonical = place.canonical.empty() ? place.path : place.canonical;
    const char* reason = reason_in_words(place.path);
    if (reason == nullptr) reason = reason_against(place.path, place);
    if (reason == nullptr) reason = reason_against(canonical, place);
    if (reason == nullptr && place.occupancy == Occupancy::other)
        reason = "something else than an environment is there";
    if (reason == nullptr) return {};
    const std::string leads =
        canonical == place.path ? "" : ", which leads to " + printable(canonical);
    return fail(Errc::invalid_argument,
                "the recorded path " + printable(place.path) + leads + " is not used: " + reason,
                "name the path: squenv run IMAGE:PATH, squenv mount IMAGE PATH");
}

Status check_recorded_destination(const std::string& path, const std::string& root) {
    RecordedDestination place;
    place.path = path;
    while (place.path.size() > 1 && place.path.ends_with('/')) place.path.pop_back();
    place.homes = home_directories();
    // An environment may be there: the directory is read only after all other rules hold.
    place.occupancy = Occupancy::environment;
    SQUENV_TRY(check_recorded_destination(place));
    for (int look = 1;; ++look) {
        SQUENV_TRY_ASSIGN(place.canonical, system::canonical_mountpoint(place.path));
        place.occupancy = occupancy_of(place.canonical, root);
        if (auto link = find_tree_link(place.path)) {
            place.canonical = std::move(link->place);
            place.occupancy = Occupancy::mounted;
        }
        auto status = check_recorded_destination(place);
        // Another run of the image may have taken the place, or left it, in the middle of the look.
        if (status || look == kLooks) return status;
    }
}

bool hides_content(const std::string& path) {
    const auto canonical = system::canonical_mountpoint(path);
    // A daemon may be dead or another user's, and must not be queried.
    if (!canonical || system::has_fuse_mount(*canonical)) return false;
    struct stat info {};
    return ::stat(canonical->c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
           ::access(canonical->c_str(), R_OK) == 0 && !is_empty(*canonical) &&
           venv::environment_kind_at(*canonical) == venv::EnvironmentKind::none;
}

}  // namespace squenv::run
