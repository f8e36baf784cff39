// SPDX-License-Identifier: MIT
#include "create/inputs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace squenv::create {

namespace {

constexpr std::array kProjectFiles{"pyproject.toml", "setup.py", "setup.cfg", "uv.lock",
                                   "pylock.toml"};

bool is_directory(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_file(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

std::string name_of(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_yaml(const std::string& path) {
    return path.ends_with(".yml") || path.ends_with(".yaml");
}

/// "pylock.toml" and "pylock.NAME.toml".
bool is_pylock(const std::string& path) {
    const std::string name = name_of(path);
    return name.starts_with("pylock.") && name.ends_with(".toml");
}

std::string in(const std::string& directory, const char* name) {
    return directory.ends_with('/') ? directory + name : directory + '/' + name;
}

bool is_project(const std::string& directory) {
    return std::any_of(kProjectFiles.begin(), kProjectFiles.end(),
                       [&](const char* name) { return is_file(in(directory, name)); });
}

/// pip takes a word with a slash for a path. A directory with a project in it is meant as well: the
/// package of that name, which anyone may have published, must not come instead.
bool names_directory(const std::string& word) {
    if (!is_directory(word)) return false;
    return word.find('/') != std::string::npos || word == "." || word == ".." || is_project(word);
}

Status check_readable(const std::vector<std::string>& files) {
    for (const std::string& file : files) {
        if (is_directory(file))
            return fail(Errc::invalid_argument, file + ": is a directory, not a file");
        if (::access(file.c_str(), R_OK) != 0)
            return fail_errno(errno, file, "check its name, and that you may read it");
    }
    return {};
}

Result<Inputs> of_directory(const std::string& directory) {
    if (is_file(in(directory, "uv.lock")) && is_file(in(directory, "pyproject.toml")))
        return Inputs{InputKind::uv_lock,
                      {},
                      {in(directory, "uv.lock"), in(directory, "pyproject.toml")},
                      directory};
    if (const std::string lock = in(directory, "pylock.toml"); is_file(lock))
        return Inputs{InputKind::pylock, {}, {lock}};
    for (const char* name : {"pyproject.toml", "setup.py", "setup.cfg"})
        if (const std::string file = in(directory, name); is_file(file))
            return Inputs{InputKind::project, {}, {file}, directory};
    for (const char* name : {"environment.yml", "environment.yaml"})
        if (const std::string file = in(directory, name); is_file(file))
            return Inputs{InputKind::conda, {}, {file}};
    return fail(Errc::invalid_argument,
                directory + ": no pyproject.toml, uv.lock, pylock.toml or environment.yml there",
                "name a project, or a file with -r");
}

Result<Inputs> of_words(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
        const bool is_single = names_directory(word) || is_yaml(word) || is_pylock(word);
        if (is_single && words.size() > 1)
            return fail(Errc::invalid_argument,
                        word + ": is the whole environment; there is more to install beside it",
                        "name it alone, or packages alone");
        if (word.ends_with(".txt"))
            return fail(Errc::invalid_argument, word + ": is no package",
                        "write -r " + word + " for a file of requirements");
    }
    const std::string& word = words.front();
    if (names_directory(word)) return of_directory(word);
    if (is_yaml(word)) return Inputs{InputKind::conda, {}, {word}};
    if (is_pylock(word)) return Inputs{InputKind::pylock, {}, {word}};
    return Inputs{InputKind::packages, words};
}

Result<Inputs> of_requirements(const std::vector<std::string>& files) {
    const auto is_other = [](const std::string& file) { return is_yaml(file) || is_pylock(file); };
    const auto other = std::find_if(files.begin(), files.end(), is_other);
    if (other == files.end()) return Inputs{InputKind::requirements, {}, files};
    if (files.size() > 1)
        return fail(Errc::invalid_argument, *other + ": is the whole environment",
                    "name it alone, or files of requirements alone");
    return of_words(files);
}

}  // namespace

Result<Inputs> recognise_inputs(const std::vector<std::string>& requirements,
                                const std::vector<std::string>& words) {
    if (requirements.empty() == words.empty())
        return fail(Errc::invalid_argument,
                    words.empty() ? "there is nothing to install"
                                  : "-r " + requirements.front() + " and " + words.front() +
                                        ": two things to install from",
                    "name one: -r FILE, packages, a project directory or an environment.yml");
    SQUENV_TRY_ASSIGN(Inputs inputs,
                      words.empty() ? of_requirements(requirements) : of_words(words));
    SQUENV_TRY(check_readable(inputs.files));
    return inputs;
}

}  // namespace squenv::create
