// SPDX-License-Identifier: MIT
#include "venv/activation.h"

#include <filesystem>

namespace squenv::venv {

std::string prompt_name(const std::string& root) {
    const std::filesystem::path path(root);
    const std::string last = path.filename().string();
    const std::string parent = path.parent_path().filename().string();
    return (last == "venv" || last == ".venv") && !parent.empty() ? parent : last;
}

std::vector<Change> activation(const std::string& root, const std::string& path) {
    const std::string programs = root + "/bin";
    return {{"VIRTUAL_ENV", root},
            {"VIRTUAL_ENV_PROMPT", "(" + prompt_name(root) + ") "},
            {"PATH", path.empty() ? programs : programs + ':' + path},
            // It would send the environment's Python to another standard library.
            {"PYTHONHOME", {}, true}};
}

}  // namespace squenv::venv
