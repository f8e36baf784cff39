// SPDX-License-Identifier: MIT
#include "cli/fast_import.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/file_io.h"
#include "base/paths.h"
#include "base/private_directory.h"
#include "base/temporary_name.h"
#include "base/unique_fd.h"

namespace squenv::cli {

namespace {

constexpr const char* kVariable = "PYTHONPATH";
constexpr const char* kName = "squenv-fast-import";

/// Any Python may read it, from 2.7 on. `_io.open` is what open_code() calls when no hook of PEP
/// 578 is set: a hook comes first, and audit events stay the same.
constexpr const char* kModule = R"(# SPDX-License-Identifier: MIT
"""Written by `squenv run --fast-import`: Python asks of no module whether it is a terminal.

The directory leaves sys.path, then the sitecustomize module that it hides is imported.
"""

import sys


def hasten():
    if sys.version_info < (3, 8) or sys.implementation.name != "cpython":
        return
    import _io

    if hasattr(_io.FileIO, "_isatty_open_only"):  # this one asks of no regular file
        return
    ask, buffered, unbuffered = _io.open, _io.BufferedReader, _io.FileIO

    def open(file, mode="r", *more, **options):
        if mode != "rb" or more or options or type(file) is not str:
            return ask(file, mode, *more, **options)
        return buffered(unbuffered(file, "r"))

    _io.open = open
    if ask.__module__ == "_io":  # pickle looks there for the function that others know as open
        ask.__module__ = "io"


def leave():
    directory = __file__.rpartition("/")[0]
    sys.path[:] = [path for path in sys.path if path != directory]
    sys.path_importer_cache.pop(directory, None)
    return sys.modules.pop("sitecustomize", None)


try:
    hasten()
finally:
    this_module = leave()

import sitecustomize
)";

std::string path_in(const std::string& directory, const std::string& name) {
    return directory + '/' + name;
}

/// Where the module may be, the best place first. They are local to the node: each program that
/// starts looks there.
std::vector<std::string> candidates() {
    std::vector<std::string> paths;
    const auto usable = [](const std::string& parent) {
        return parent.starts_with('/') && parent.find(':') == std::string::npos;
    };
    if (const auto parent = environment_variable("XDG_RUNTIME_DIR"); usable(parent))
        if (std::error_code error; std::filesystem::is_directory(parent, error))
            paths.push_back(path_in(real_path(parent), kName));
    const auto temporary = environment_variable("TMPDIR");
    paths.push_back(user_directory(real_path(usable(temporary) ? temporary : "/tmp"), kName));
    return paths;
}

/// Programs that start meanwhile read the old file or the new one.
Status write_module(const std::string& directory) {
    const std::string path = path_in(directory, "sitecustomize.py");
    if (const auto present = file_content(path); present && *present == kModule) return {};
    const std::string fresh = unique_name(path_in(directory, "fresh-"));
    SQUENV_TRY_ASSIGN(const UniqueFd file, open_file(fresh, O_WRONLY | O_CREAT | O_EXCL, 0600));
    Status status;
    if (const auto written = write_all(file.get(), as_bytes(kModule)); !written)
        status = with_context(written.error(), fresh);
    if (status && ::rename(fresh.c_str(), path.c_str()) != 0) status = fail_errno(errno, path);
    if (!status) ::unlink(fresh.c_str());
    return status;
}

Status make(const std::string& directory) {
    SQUENV_TRY(make_private_directory(
        directory, {"directory of --fast-import", "name another directory in TMPDIR"}));
    return write_module(directory);
}

void put_in_front(const std::string& directory) {
    const std::string present = environment_variable(kVariable);
    if (present == directory || present.starts_with(directory + ':')) return;
    ::setenv(kVariable, (present.empty() ? directory : directory + ':' + present).c_str(), 1);
}

}  // namespace

Status set_fast_import() {
    Status status;
    for (const auto& directory : candidates()) {
        status = make(directory);
        if (!status) continue;
        put_in_front(directory);
        return {};
    }
    return status;
}

}  // namespace squenv::cli
