// SPDX-License-Identifier: MIT
#include "create/plan.h"

#include <cstdlib>

#include "base/process_limits.h"

namespace squenv::create {

namespace {

using Words = std::vector<std::string>;

void add(Words& words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
}

/// What is to be installed, as pip and uv take it.
Words operands(const Inputs& inputs) {
    if (inputs.kind == InputKind::packages) return inputs.packages;
    if (inputs.kind == InputKind::project) return {inputs.project};
    Words words;
    for (const std::string& file : inputs.files) add(words, {"-r", file});
    return words;
}

Words index_words(const PlanOptions& options) {
    return options.index_url.empty() ? Words{} : Words{"--index-url", options.index_url};
}

Step compile_step(const std::string& tree) {
    // Forms that are compared by time stay true: the image keeps the times of the sources.
    Step step{"compileall",
              {tree + "/bin/python", "-m", "compileall", "-qq", "-j", has_semaphores() ? "0" : "1",
               "--invalidation-mode", "timestamp", tree + "/lib"}};
    step.may_fail = true;
    step.is_optional = true;
    return step;
}

Step uv_venv(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    Step step{"uv venv", {tools.uv.path, "venv"}};
    // A project asks for its Python; the one that the working directory is in must not.
    if (inputs.project.empty())
        step.words.push_back("--no-project");
    else
        add(step.words, {"--project", inputs.project});
    if (!options.has_true_path) step.words.push_back("--relocatable");
    if (options.has_system_packages) step.words.push_back("--system-site-packages");
    if (!options.python.empty()) add(step.words, {"--python", options.python});
    step.words.push_back(options.tree);
    return step;
}

Step uv_install(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    // Links into the cache of uv would lead nowhere.
    Step step{"uv pip install",
              {tools.uv.path, "pip", "install", "--python", options.tree + "/bin/python",
               "--compile-bytecode"},
              {"UV_LINK_MODE=copy"}};
    add(step.words, index_words(options));
    add(step.words, options.arguments);
    add(step.words, operands(inputs));
    return step;
}

Step uv_sync(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    Step step{"uv sync",
              {tools.uv.path, "sync", "--project", inputs.project, "--frozen", "--no-editable",
               "--no-dev", "--compile-bytecode"},
              {"UV_LINK_MODE=copy", "UV_PROJECT_ENVIRONMENT=" + options.tree}};
    if (!options.python.empty()) add(step.words, {"--python", options.python});
    add(step.words, options.arguments);
    return step;
}

Result<Plan> plan_uv(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    const bool is_locked = inputs.kind == InputKind::uv_lock;
    if (is_locked && !options.index_url.empty())
        return fail(Errc::invalid_argument, "--index-url means nothing with uv.lock",
                    "leave it out: the lock names where each package comes from");
    return Plan{{uv_venv(inputs, tools, options),
                 is_locked ? uv_sync(inputs, tools, options) : uv_install(inputs, tools, options)}};
}

Result<Plan> plan_pip(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    if (inputs.kind == InputKind::uv_lock || inputs.kind == InputKind::pylock)
        return fail(Errc::not_found,
                    inputs.files.front() + ": installing from it needs uv, which is not installed",
                    "install uv, or write requirements.txt with it and use -r");
    if (!tools.python)
        return fail(Errc::not_found, "neither uv nor a Python is installed", "install one of them");
    Step venv{"python -m venv", {tools.python.path, "-m", "venv"}};
    if (options.has_system_packages) venv.words.push_back("--system-site-packages");
    venv.words.push_back(options.tree);
    Step install{
        "pip install",
        {options.tree + "/bin/python", "-m", "pip", "install", "--disable-pip-version-check"},
        {"PIP_USER=0"}};
    add(install.words, index_words(options));
    add(install.words, options.arguments);
    add(install.words, operands(inputs));
    return Plan{{std::move(venv), std::move(install), compile_step(options.tree)}};
}

/// Mamba took over the command line of micromamba with version 2.
bool installs_from_file(const Tool& conda) {
    return conda.name == "micromamba" ||
           (conda.name == "mamba" && std::atoi(conda.version.c_str()) >= 2);
}

Status check_conda_options(const PlanOptions& options) {
    const char* advice = "leave it out, and say it in the file";
    for (const auto& [is_given, option] : {std::pair{!options.python.empty(), "--python"},
                                           {options.has_system_packages, "--system-site-packages"},
                                           {!options.index_url.empty(), "--index-url"}})
        if (is_given)
            return fail(Errc::invalid_argument,
                        std::string(option) + " means nothing with an environment.yml", advice);
    return {};
}

Result<Plan> plan_conda(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    SQUENV_TRY(check_conda_options(options));
    const std::string& file = inputs.files.front();
    if (!tools.conda)
        return fail(Errc::not_found, file + ": neither micromamba, mamba nor conda is installed",
                    "install one of them, micromamba is a single file");
    Plan plan;
    // A link into the cache of packages would lead nowhere. Nothing is asked.
    Step step{
        tools.conda.name,
        {tools.conda.path},
        {"CONDA_ALLOW_SOFTLINKS=false", "MAMBA_ALLOW_SOFTLINKS=false", "CONDA_ALWAYS_YES=true"}};
    if (installs_from_file(tools.conda)) {
        // Not "create", which refuses a directory that exists already. This file makes it one of
        // conda's.
        plan.empty_files = {"conda-meta/history"};
        add(step.words, {"install", "-y", "-p", options.tree});
    } else {
        add(step.words, {"env", "create", "-p", options.tree});
    }
    add(step.words, options.arguments);
    add(step.words, {"-f", file});
    plan.steps = {std::move(step), compile_step(options.tree)};
    return plan;
}

}  // namespace

Result<Plan> make_plan(const Inputs& inputs, const Tools& tools, const PlanOptions& options) {
    auto plan = inputs.kind == InputKind::conda ? plan_conda(inputs, tools, options)
                : tools.uv                      ? plan_uv(inputs, tools, options)
                                                : plan_pip(inputs, tools, options);
    if (plan && !options.temporary.empty())
        for (Step& step : plan->steps) step.variables.push_back("TMPDIR=" + options.temporary);
    return plan;
}

const std::vector<std::string>& misleading_variables() {
    static const std::vector<std::string> kNames{"PYTHONHOME",
                                                 "PYTHONPATH",
                                                 "PYTHONPYCACHEPREFIX",
                                                 "PYTHONDONTWRITEBYTECODE",
                                                 "VIRTUAL_ENV",
                                                 "PIP_TARGET",
                                                 "PIP_PREFIX",
                                                 "PIP_ROOT",
                                                 "PIP_PYTHON",
                                                 "CONDA_PREFIX",
                                                 "UV_PROJECT_ENVIRONMENT"};
    return kNames;
}

const std::vector<std::string>& default_variables() {
    // An interpreter is a tool, and none is downloaded.
    static const std::vector<std::string> kVariables{"UV_PYTHON_DOWNLOADS=never"};
    return kVariables;
}

}  // namespace squenv::create
