// SPDX-License-Identifier: MIT
#include "create/tools.h"

#include <cctype>
#include <sstream>

#include "base/environment.h"
#include "base/process.h"

namespace squenv::create {

namespace {

/// What `path --version` prints first; nothing when it fails.
Result<std::string> version_of(const std::string& path) {
    ProgramStart program{{path, "--version"}, own_variables()};
    program.input = -1;
    program.errors = -1;
    SQUENV_TRY_ASSIGN(const Captured said, capture(program));
    if (said.end.shell_status() != 0) return fail(Errc::not_found, path + ": does not work");
    return version_in(said.output);
}

/// No tool when it is not installed, or does not run here.
Tool find_tool(const std::string& name, const char* variable = nullptr) {
    std::string path = find_program(name, search_path());
    if (path.empty() && variable != nullptr) {
        path = environment_variable(variable);
        if (!path.empty() && path.substr(path.rfind('/') + 1) != name) return {};
    }
    if (path.empty()) return {};
    const auto version = version_of(path);
    return version ? Tool{name, path, *version} : Tool{};
}

Tool find_conda() {
    for (const auto& [name, variable] :
         {std::pair{"micromamba", "MAMBA_EXE"}, {"mamba", "MAMBA_EXE"}, {"conda", "CONDA_EXE"}})
        if (Tool tool = find_tool(name, variable)) return tool;
    return {};
}

Result<Tool> find_python(const std::string& wanted) {
    const std::string name = python_program(wanted);
    const Tool tool = find_tool(name);
    const char* remedy = "install it, name another with --python, or install uv";
    if (!tool) return fail(Errc::not_found, name + ": no such Python that works here", remedy);
    const bool is_path = wanted.find('/') != std::string::npos;
    if (!is_path && !fits_version(tool.version, wanted))
        return fail(Errc::not_found, tool.path + ": is Python " + tool.version + ", not " + wanted,
                    remedy);
    return tool;
}

}  // namespace

std::string version_in(const std::string& text) {
    std::istringstream words(text);
    for (std::string word; words >> word;)
        if (std::isdigit(static_cast<unsigned char>(word.front())) != 0) return word;
    return {};
}

bool fits_version(const std::string& version, const std::string& wanted) {
    return wanted.empty() || version == wanted || version.starts_with(wanted + '.');
}

std::string python_program(const std::string& wanted) {
    if (wanted.empty()) return "python3";
    if (std::isdigit(static_cast<unsigned char>(wanted.front())) == 0) return wanted;
    const auto minor = wanted.find('.');
    return "python" +
           wanted.substr(0, minor == std::string::npos ? minor : wanted.find('.', minor + 1));
}

Result<Tools> find_tools(const Inputs& inputs, const std::string& python) {
    Tools tools;
    if (inputs.kind == InputKind::conda) {
        tools.conda = find_conda();
        return tools;
    }
    tools.uv = find_tool("uv");
    const bool needs_uv = inputs.kind == InputKind::uv_lock || inputs.kind == InputKind::pylock;
    if (tools.uv || needs_uv) return tools;
    SQUENV_TRY_ASSIGN(tools.python, find_python(python));
    return tools;
}

}  // namespace squenv::create
