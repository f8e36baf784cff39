// SPDX-License-Identifier: MIT
#include "label/settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

#include "label/toml_file.h"

namespace squenv::label {

namespace {

constexpr int kDefaultPriority = 9;
/// Of a configuration file; what follows is not read.
constexpr std::streamsize kMaxFile = 1 << 20;

using Variables = std::map<std::string, std::string>;

std::string variable(const Variables& variables, const std::string& name) {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second : "";
}

std::string trimmed(const std::string& text) {
    const auto begin = text.find_first_not_of(" \t\r");
    if (begin == std::string::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// With each ${NAME} replaced by its value.
std::string expanded(const std::string& text, const Variables& variables) {
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = text.find("${", at);
        const std::size_t end = text.find('}', begin);
        if (begin == std::string::npos || end == std::string::npos) return result + text.substr(at);
        result += text.substr(at, begin - at);
        result += variable(variables, text.substr(begin + 2, end - begin - 2));
        at = end + 1;
    }
    return result;
}

/// The text of an ordinary file; nothing when there is none. Errors: denied, io.
Result<std::optional<std::string>> text_of_file(const std::string& path) {
    struct stat info {};
    // A directory that may not be entered is somebody else's, and so are files in it.
    if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
    std::ifstream file(path);
    if (!file)
        return fail_errno(errno, path,
                          "repositories of uenvs are configured there: make it "
                          "readable, or name one with --repo or UENV_REPO_PATH");
    std::string text(static_cast<std::size_t>(kMaxFile), '\0');
    file.read(text.data(), kMaxFile);
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

/// `repo` of lines "key = value", or "". The other keys are about the output of uenv.
std::string repository_in(const std::string& text) {
    std::istringstream lines(text);
    std::string repository;
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find('=');
        if (equals != std::string::npos && trimmed(line.substr(0, equals)) == "repo")
            repository = trimmed(line.substr(equals + 1));
    }
    return repository;
}

/// Whether something like a repository is there: an image is found without index.db, too.
bool is_repository(const std::string& path) {
    struct stat info {};
    return ::stat((path + "/index.db").c_str(), &info) == 0 ||
           ::stat((path + "/images").c_str(), &info) == 0;
}

/// Of the user, then of the system.
std::vector<std::string> config_directories(const Sources& sources) {
    std::vector<std::string> directories;
    const std::string config = variable(sources.variables, "XDG_CONFIG_HOME");
    const std::string home = variable(sources.variables, "HOME");
    if (!config.empty())
        directories.push_back(config + "/uenv");
    else if (!home.empty())
        directories.push_back(home + "/.config/uenv");
    directories.push_back(sources.system_directory);
    return directories;
}

Result<std::string> default_path(const Sources& sources,
                                 const std::vector<std::string>& directories) {
    for (const std::string& directory : directories) {
        std::string path = directory + "/config";
        const std::string other = variable(sources.variables, "UENV_SYSTEM_CONFIG");
        if (directory == sources.system_directory && !other.empty()) path = other;
        SQUENV_TRY_ASSIGN(const auto text, text_of_file(path));
        const std::string named = text ? repository_in(*text) : "";
        if (!named.empty()) return expanded(named, sources.variables);
    }
    const std::string scratch = variable(sources.variables, "SCRATCH");
    if (!scratch.empty() && is_repository(scratch + "/.uenv-images"))
        return scratch + "/.uenv-images";
    const std::string home = variable(sources.variables, "HOME");
    return home.empty() ? "" : home + "/.uenv/repo";
}

/// Adds `repository` unless an earlier one, which counts more, has its name.
void add_repository(Repository repository, std::vector<Repository>& all) {
    const bool is_named = std::any_of(all.begin(), all.end(), [&](const Repository& other) {
        return !repository.name.empty() && other.name == repository.name;
    });
    if (!is_named) all.push_back(std::move(repository));
}

Status add_files(const Sources& sources, const std::vector<std::string>& directories,
                 Settings& settings) {
    for (const std::string& directory : directories) {
        const std::string path = directory + "/config.toml";
        SQUENV_TRY_ASSIGN(const auto text, text_of_file(path));
        if (!text) continue;
        SQUENV_TRY_ASSIGN(auto read, parse_toml(*text, path));
        if (settings.system.empty()) settings.system = read.system;
        for (Repository& repository : read.repositories) {
            repository.path = expanded(repository.path, sources.variables);
            add_repository(std::move(repository), settings.repositories);
        }
    }
    return {};
}

/// One word of --repo: NAME, PATH or NAME=PATH.
Result<Repository> named_repository(const std::string& word, const std::vector<Repository>& known) {
    const auto equals = word.find_first_of("/.") == 0 ? std::string::npos : word.find('=');
    Repository named{"", word, kDefaultPriority};
    if (equals != std::string::npos)
        named = {word.substr(0, equals), word.substr(equals + 1), kDefaultPriority};
    std::string names;
    for (const Repository& one : known) {
        if (!one.name.empty() && one.name == word) named = one;
        if (!one.name.empty()) names += (names.empty() ? "" : ", ") + one.name;
    }
    if (is_repository(named.path)) return named;
    return fail(
        Errc::not_found, named.path + ": no repository of uenvs: it has no index.db",
        "name another one with --repo or UENV_REPO_PATH, by its path or as one of " + names);
}

/// Those that --repo or UENV_REPO_PATH lists, in its order.
Result<std::vector<Repository>> named_repositories(const std::string& list,
                                                   const std::vector<Repository>& known) {
    std::vector<Repository> named;
    std::istringstream words(list);
    for (std::string word; std::getline(words, word, ',');) {
        if (word.empty()) continue;
        SQUENV_TRY_ASSIGN(auto repository, named_repository(word, known));
        named.push_back(std::move(repository));
    }
    return named;
}

}  // namespace

Result<Settings> load_settings(const Sources& sources) {
    Settings settings;
    const auto directories = config_directories(sources);
    const auto status = add_files(sources, directories, settings);
    const auto usual = default_path(sources, directories);
    add_repository({"default", usual.value_or(""), kDefaultPriority}, settings.repositories);
    std::string list = sources.repository;
    if (list.empty()) list = variable(sources.variables, "UENV_REPO_PATH");
    if (!list.empty()) {
        // A file that cannot be read does not matter to a path.
        auto named = named_repositories(list, settings.repositories);
        if (!named) {
            SQUENV_TRY(status);
            SQUENV_TRY(usual);
            return tl::unexpected(named.error());
        }
        settings.repositories = std::move(*named);
    } else {
        SQUENV_TRY(status);
        std::erase_if(settings.repositories,
                      [](const Repository& one) { return !is_repository(one.path); });
        std::stable_sort(settings.repositories.begin(), settings.repositories.end(),
                         [](const Repository& one, const Repository& other) {
                             return one.priority < other.priority;
                         });
    }
    if (!sources.system.empty()) settings.system = sources.system;
    if (settings.system.empty()) settings.system = variable(sources.variables, "CLUSTER_NAME");
    if (settings.system == "*") settings.system.clear();
    return settings;
}

Label for_system(Label label, const Settings& settings) {
    if (label.system.empty()) label.system = settings.system;
    if (label.system == "*") label.system.clear();
    return label;
}

}  // namespace squenv::label
