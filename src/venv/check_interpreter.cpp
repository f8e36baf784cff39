// SPDX-License-Identifier: MIT
#include "venv/check_interpreter.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "venv/interpreter.h"

namespace squenv::venv {

namespace {

/// Not for what only cannot be looked at.
bool is_missing(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return false;
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
}

bool is_link(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

}  // namespace

std::vector<Finding> check_interpreter(const Environment& environment) {
    const std::string advice =
        environment.kind == EnvironmentKind::conda
            ? "install python into the environment"
            : "load the module or start the uenv it was made with, here and where the image runs";
    std::vector<Finding> findings;
    // The one is a link to the other: once is enough.
    for (const char* name : {"bin/python3", "bin/python"}) {
        const std::string path = environment.root + '/' + name;
        if (!is_link(path) || !is_missing(path)) continue;
        findings.push_back(
            {name, "leads to " + end_of_links(path) + ", which is not here", advice});
        break;
    }
    if (!environment.home.empty() && is_missing(environment.home))
        findings.push_back(
            {"pyvenv.cfg", "home = " + environment.home + ", which is not here", advice});
    if (environment.has_system_packages)
        findings.push_back(
            {"pyvenv.cfg",
             "include-system-site-packages = true: other packages come from the system, of the "
             "machine where the image runs",
             "install what it needs into the environment, or see that it is the same there"});
    return findings;
}

}  // namespace squenv::venv
