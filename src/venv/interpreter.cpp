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
#include <utility>
#include <vector>

#include "base/paths.h"
#include "venv/files.h"
#include "venv/kind.h"
#include "venv/packages.h"

namespace squenv::venv {

namespace {

/// As many as the kernel follows.
constexpr int kMaxLinks = 40;
constexpr std::string_view kDigits = "0123456789";
constexpr const char* kPackAgain = "pack the environment again, with all of its bin directory";
constexpr const char* kStartIt = "start the uenv or load the module that it was made with";

/// "bin/python3", or "bin/python3 leads to /opt/py/bin/python3" when it is a link to `end`.
std::string described(const std::string& tree, const std::string& program, const std::string& end) {
    return end == tree + '/' + program ? program : program + " leads to " + end;
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

/// The versions that have a directory pythonX.Y among `entries`.
std::vector<std::string> versions_in(const std::vector<FileEntry>& entries) {
    std::vector<std::string> versions;
    for (const FileEntry& entry : entries)
        if (auto version = version_in(entry.name); !version.empty())
            versions.push_back(std::move(version));
    return versions;
}

/// Those that have one in `prefix`/lib.
std::vector<std::string> library_versions(const std::string& prefix) {
    return versions_in(list_directory(prefix + "/lib").value_or(std::vector<FileEntry>()));
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

/// `what` is described(), `path` what it describes.
InterpreterState check_program(const std::string& what, const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        const int code = errno;
        if (code == ENOENT || code == ENOTDIR) return {what + ", which is not here", kStartIt};
        return {fmt::format("{}, which cannot be reached: {}", what,
                            std::generic_category().message(code)),
                "check that every directory above it may be entered"};
    }
    if (S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0) return {};
    return {what + ", which cannot be executed",
            "check its mode, and that its file system is not mounted noexec"};
}

/// Whether an interpreter of version `found` has its modules among `libraries`; "" and an empty
/// list cannot be told.
InterpreterState check_version(const std::string& what, const std::string& found,
                               const std::vector<std::string>& libraries) {
    const bool is_there = std::find(libraries.begin(), libraries.end(), found) != libraries.end();
    if (found.empty() || is_there || libraries.empty()) return {};
    return {fmt::format("{}, which is Python {}, but its packages are for Python {}", what, found,
                        libraries.front()),
            kStartIt};
}

/// What can be told without a listing, by which a mount would take this process for one that only
/// lists, and do nothing ahead for the program.
bool fits_plainly(const std::string& program, const std::string& tree) {
    const std::string version =
        version_in(std::string_view(program).substr(program.rfind('/') + 1));
    if (version.empty()) return program.starts_with(real_path(tree) + '/');
    return ::access((tree + "/lib/python" + version).c_str(), F_OK) == 0;
}

InterpreterState none_at_all() {
    return {"it has neither bin/python3 nor bin/python", kPackAgain};
}

/// conda records the Python that it installs; a prefix without one is in order.
bool lacks_python(const std::vector<FileEntry>& records) {
    return std::none_of(records.begin(), records.end(), [](const FileEntry& record) {
        return conda_package(record.name).name == "python";
    });
}

bool is_below(const std::string& path, const std::string& root) {
    return path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/';
}

/// Where `path` leads to when `files` are at `root`: links in them are followed, others are not. ""
/// when it leads in a circle.
Result<std::string> resolved(const FileTree& files, const std::string& root, std::string path) {
    std::string done;
    for (int links = 0; !path.empty();) {
        const auto slash = path.find('/');
        const std::string name = path.substr(0, slash);
        path = slash == std::string::npos ? "" : path.substr(slash + 1);
        if (name.empty() || name == ".") continue;
        if (name == "..") {
            done.resize(std::min(done.rfind('/'), done.size()));
            continue;
        }
        const std::string next = done + '/' + name;
        std::string target;
        if (is_below(next, root)) {
            SQUENV_TRY_ASSIGN(target, files.link(next.substr(root.size() + 1)));
        }
        if (target.empty()) {
            done = next;
            continue;
        }
        if (++links > kMaxLinks) return std::string();
        if (target.starts_with('/')) done.clear();
        path = path.empty() ? target : target + '/' + path;
    }
    return done;
}

Result<bool> has(const FileTree& files, const std::string& path) {
    const auto slash = path.rfind('/');
    SQUENV_TRY_ASSIGN(const auto entries,
                      files.list(slash == std::string::npos ? "" : path.substr(0, slash)));
    return std::any_of(entries.begin(), entries.end(), [&](const FileEntry& entry) {
        return entry.name == path.substr(slash + 1);
    });
}

/// The program that is to be at `end`, by its name or by what is on this machine.
Result<InterpreterState> check_end(const FileTree& files, const std::string& root,
                                   const std::string& program, const std::string& end,
                                   bool is_venv) {
    if (end.empty()) return InterpreterState{program + " leads in a circle", kPackAgain};
    const std::string what = described(root, program, end);
    if (is_below(end, root)) {
        SQUENV_TRY_ASSIGN(const bool is_there, has(files, end.substr(root.size() + 1)));
        if (!is_there) return InterpreterState{what + ", which is not in the image", kPackAgain};
        return InterpreterState();
    }
    if (auto state = check_program(what, end); !state.is_usable() || !is_venv) return state;
    SQUENV_TRY_ASSIGN(const auto libraries, files.list("lib"));
    return check_version(what, version_of(real_path(end)), versions_in(libraries));
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
    const EnvironmentKind kind = environment_kind_at(tree);
    if (kind == EnvironmentKind::none) return {};
    std::string first;
    for (const char* program : {"bin/python3", "bin/python"}) {
        const std::string path = tree + '/' + program;
        struct stat info {};
        if (::lstat(path.c_str(), &info) != 0) {
            // Where we may not look, nothing can be told.
            if (errno != ENOENT && errno != ENOTDIR) return {};
            continue;
        }
        const std::string what = described(tree, program, end_of_links(path));
        if (auto state = check_program(what, path); !state.is_usable()) return state;
        if (first.empty()) first = program;
    }
    if (kind == EnvironmentKind::conda) {
        const auto records = list_directory(tree + "/conda-meta");
        return first.empty() && records && !lacks_python(*records) ? none_at_all()
                                                                   : InterpreterState();
    }
    if (first.empty()) return none_at_all();
    const std::string path = tree + '/' + first;
    const std::string program = real_path(path);
    if (fits_plainly(program, tree)) return {};
    return check_version(described(tree, first, end_of_links(path)), version_of(program),
                         library_versions(tree));
}

Result<InterpreterState> inspect_interpreter(const FileTree& files, const std::string& root,
                                             std::string* end) {
    Status status;
    const EnvironmentKind kind = environment_kind([&](const std::string& path) {
        const auto found = has(files, path);
        if (!found) status = tl::unexpected(found.error());
        return found.value_or(false);
    });
    SQUENV_TRY(status);
    if (kind == EnvironmentKind::none) return InterpreterState();
    bool is_first = true;
    for (const char* program : {"bin/python3", "bin/python"}) {
        SQUENV_TRY_ASSIGN(const bool is_there, has(files, program));
        if (!is_there) continue;
        SQUENV_TRY_ASSIGN(const std::string found, resolved(files, root, root + '/' + program));
        if (std::exchange(is_first, false) && end != nullptr) *end = found;
        SQUENV_TRY_ASSIGN(auto state,
                          check_end(files, root, program, found, kind == EnvironmentKind::venv));
        if (!state.is_usable()) return state;
    }
    if (!is_first) return InterpreterState();
    SQUENV_TRY_ASSIGN(const auto records, files.list("conda-meta"));
    return kind == EnvironmentKind::conda && lacks_python(records) ? InterpreterState()
                                                                   : none_at_all();
}

bool is_interpreter_name(std::string_view program) {
    constexpr std::string_view kName = "python";
    return program.starts_with(kName) &&
           program.find_first_not_of("0123456789.", kName.size()) == std::string_view::npos;
}

}  // namespace squenv::venv
