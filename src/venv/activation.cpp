// SPDX-License-Identifier: MIT
#include "venv/activation.h"

#include <filesystem>

namespace squenv::venv {

namespace {

std::vector<Change> activation_variables(const std::string& root, EnvironmentKind kind) {
    if (kind != EnvironmentKind::conda)
        return {{"VIRTUAL_ENV", root}, {"VIRTUAL_ENV_PROMPT", prompt_name(root)}};
    const std::string name = std::filesystem::path(root).filename().string();
    return {{"CONDA_PREFIX", root},
            {"CONDA_DEFAULT_ENV", name},
            {"CONDA_PROMPT_MODIFIER", '(' + name + ") "},
            {"CONDA_SHLVL", "1"},
            // pip and uv would go on to work on an environment whose Python is no longer first.
            {"VIRTUAL_ENV", {}, true},
            {"VIRTUAL_ENV_PROMPT", {}, true}};
}

}  // namespace

void apply(const std::vector<Change>& changes, std::map<std::string, std::string>& variables) {
    for (const Change& change : changes) {
        if (change.is_removed)
            variables.erase(change.name);
        else if (change.is_default)
            variables.emplace(change.name, change.value);
        else
            variables[change.name] = change.value;
    }
}

std::string prompt_name(const std::string& root) {
    const std::filesystem::path path(root);
    const std::string last = path.filename().string();
    const std::string parent = path.parent_path().filename().string();
    return (last == "venv" || last == ".venv") && !parent.empty() ? parent : last;
}

std::vector<Change> activation(const std::string& root, const std::string& path,
                               EnvironmentKind kind) {
    const std::string programs = root + "/bin";
    std::vector<Change> changes = activation_variables(root, kind);
    const bool is_first = (path + ':').starts_with(programs + ':');
    if (!is_first) changes.push_back({"PATH", path.empty() ? programs : programs + ':' + path});
    // It would send the environment's Python to another standard library.
    changes.push_back({"PYTHONHOME", {}, true});
    // What pip cannot write into the environment it would put below ~/.local, without asking, where
    // every other Python finds it. With this it fails instead.
    changes.push_back({"PIP_USER", "0", false, true});
    return changes;
}

}  // namespace squenv::venv
