// SPDX-License-Identifier: MIT
#include "venv/interpreter.h"

#include <fmt/core.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include "base/paths.h"
#include "venv/files.h"
#include "venv/kind.h"

namespace squenv::venv {

namespace {

/// As many as the kernel follows.
constexpr int kMaxLinks = 40;
constexpr std::string_view kDigits = "0123456789";
constexpr const char* kStartIt = "start the uenv or load the module that it was made with";

/// "bin/python3", or "bin/python3 leads to /opt/py/bin/python3" when it is a link.
std::string described(const std::string& tree, const std::string& program) {
    const std::string path = tree + '/' + program;
    const std::string end = end_of_links(path);
    return end == path ? program : program + " leads to " + end;
}

/// "3.11" of "python3.11", "pypy3.10" and "python3.13t": the name of a program, or of the directory
/// of its modules. "" of "python3", which does not tell.
std::string version_in(std::string_view name) {
    const auto begin = name.find_first_of(kDigits);
    if (begin == std::string_view::npos) return {};
    const std::string_view stem = name.substr(0, begin);
    if (!stem.ends_with("python") && !stem.ends_with("pypy")) return {};
    const auto dot = name.find_first_not_of(kDigits, begin);
    if (dot == std::string_view::npos || name[dot] != '.') return {};
    auto end = std::min(name.find_first_not_of(kDigits, dot + 1), name.size());
    if (end == dot + 1) return {};
    // Without the global lock, Python has modules of its own: lib/python3.13t.
    if (end < name.size() && name[end] == 't') ++end;
    return std::string(name.substr(begin, end - begin));
}

bool has_library(const std::string& prefix, const std::string& version) {
    return ::access((prefix + "/lib/python" + version).c_str(), F_OK) == 0 ||
           ::access((prefix + "/lib/pypy" + version).c_str(), F_OK) == 0;
}

/// The versions that have a lib/pythonX.Y in `prefix`.
std::vector<std::string> library_versions(const std::string& prefix) {
    std::vector<std::string> versions;
    const auto entries = list_directory(prefix + "/lib");
    if (!entries) return versions;
    for (const FileEntry& entry : *entries)
        if (auto version = version_in(entry.name); !version.empty())
            versions.push_back(std::move(version));
    return versions;
}

/// The version of the interpreter `program` (a path without links); "" when it cannot be told.
std::string version_of(const std::string& program) {
    const auto slash = program.rfind('/');
    std::string version = version_in(std::string_view(program).substr(slash + 1));
    if (!version.empty()) return version;
    // Several versions beside each other say nothing about this one.
    const auto installed = library_versions(program.substr(0, slash) + "/..");
    return installed.size() == 1 ? installed.front() : std::string();
}

InterpreterState check_program(const std::string& tree, const std::string& program) {
    const std::string path = tree + '/' + program;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        const int code = errno;
        if (code == ENOENT || code == ENOTDIR)
            return {described(tree, program) + ", which is not here", kStartIt};
        return {fmt::format("{}, which cannot be reached: {}", described(tree, program),
                            std::generic_category().message(code)),
                "check that every directory above it may be entered"};
    }
    if (S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0) return {};
    return {described(tree, program) + ", which cannot be executed",
            "check its mode, and that its file system is not mounted noexec"};
}

InterpreterState check_version(const std::string& tree, const std::string& program) {
    const std::string found = version_of(real_path(tree + '/' + program));
    if (found.empty() || has_library(tree, found)) return {};
    const auto wanted = library_versions(tree);
    if (wanted.empty()) return {};
    return {fmt::format("{}, which is Python {}, but its packages are for Python {}",
                        described(tree, program), found, wanted.front()),
            kStartIt};
}

}  // namespace

std::string end_of_links(std::string path) {
    std::array<char, PATH_MAX> buffer{};
    for (int i = 0; i < kMaxLinks; ++i) {
        const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
        if (size < 0) break;
        const std::string target(buffer.data(), static_cast<std::size_t>(size));
        path = target.starts_with('/') ? target : path.substr(0, path.rfind('/') + 1) + target;
    }
    return path;
}

InterpreterState inspect_interpreter(const std::string& tree) {
    if (environment_kind_at(tree) != EnvironmentKind::venv) return {};
    std::string first;
    for (const char* program : {"bin/python3", "bin/python"}) {
        struct stat info {};
        if (::lstat((tree + '/' + program).c_str(), &info) != 0) {
            // Where we may not look, nothing can be told.
            if (errno != ENOENT && errno != ENOTDIR) return {};
            continue;
        }
        if (auto state = check_program(tree, program); !state.is_usable()) return state;
        if (first.empty()) first = program;
    }
    if (first.empty())
        return {"it has neither bin/python3 nor bin/python",
                "pack the environment again, with all of its bin directory"};
    return check_version(tree, first);
}

bool is_interpreter_name(std::string_view program) {
    constexpr std::string_view kName = "python";
    return program.starts_with(kName) &&
           program.find_first_not_of("0123456789.", kName.size()) == std::string_view::npos;
}

}  // namespace squenv::venv
