// SPDX-License-Identifier: MIT
#include "venv/environment.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <sstream>

#include "venv/files.h"
#include "venv/packages.h"

namespace squenv::venv {

namespace {

std::string trim(const std::string& text) {
    const auto begin = text.find_first_not_of(" \t\r");
    if (begin == std::string::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// "lib/python3.11", the only one or the one that fits the version.
std::string find_library(const std::string& root, const std::string& version) {
    const auto entries = list_directory(root + "/lib");
    if (!entries) return {};
    std::string found;
    for (const FileEntry& entry : *entries) {
        if (entry.kind != Kind::directory) continue;
        if (!entry.name.starts_with("python") && !entry.name.starts_with("pypy")) continue;
        const bool fits =
            entry.name.starts_with("python") && version.starts_with(entry.name.substr(6) + '.');
        if (found.empty() || fits) found = "lib/" + entry.name;
    }
    return found;
}

/// A prefix of conda at `root`, or nothing.
std::optional<Environment> recognise_conda(const std::string& root) {
    if (environment_kind_at(root) != EnvironmentKind::conda) return std::nullopt;
    Environment environment;
    environment.kind = EnvironmentKind::conda;
    environment.root = root;
    const auto records = list_directory(root + "/conda-meta");
    for (const FileEntry& record : records.value_or(std::vector<FileEntry>()))
        if (auto package = conda_package(record.name); package.name == "python")
            environment.python_version = package.version;
    environment.library = find_library(root, environment.python_version);
    return environment;
}

}  // namespace

Environment parse_config(const std::string& text) {
    Environment environment;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find('=');
        if (equals == std::string::npos) continue;
        const std::string key = lower(trim(line.substr(0, equals)));
        const std::string value = trim(line.substr(equals + 1));
        // virtualenv and uv write version_info, venv writes version.
        if (key == "version" || key == "version_info")
            environment.python_version = value;
        else if (key == "home")
            environment.home = value;
        else if (key == "relocatable")
            environment.is_relocatable = lower(value) == "true";
        else if (key == "include-system-site-packages")
            environment.has_system_packages = lower(value) == "true";
    }
    return environment;
}

Result<std::optional<Environment>> recognise(const std::string& root) {
    struct stat info {};
    const std::string path = root + "/pyvenv.cfg";
    if (::stat(path.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return recognise_conda(root);
        return fail_errno(errno, errno == EACCES ? root : path,
                          "packing takes permission to read and to enter it");
    }
    const auto text = read_head(path, kMaxConfig);
    if (!text) return fail(Errc::denied, path + ": cannot be read");
    Environment environment = parse_config(*text);
    environment.root = root;
    environment.library = find_library(root, environment.python_version);
    return std::optional(std::move(environment));
}

}  // namespace squenv::venv
