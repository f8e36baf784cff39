// SPDX-License-Identifier: MIT
#include "create/plan.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "create/build.h"

namespace squenv::create {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const Tools kUv{{"uv", "/b/uv", "0.9.2"}, {}, {}};
const Tools kPip{{}, {"python3", "/b/python3", "3.11.2"}, {}};

Tools conda(const char* name, const char* version) {
    return {{}, {}, {name, std::string("/b/") + name, version}};
}

PlanOptions at(const char* tree = "/e") {
    PlanOptions options;
    options.tree = tree;
    return options;
}

Words words_of(const Inputs& inputs, const Tools& tools, const PlanOptions& options,
               std::size_t step) {
    const auto plan = make_plan(inputs, tools, options);
    EXPECT_TRUE(plan) << plan.error().message();
    if (!plan || plan->steps.size() <= step) return {};
    return plan->steps[step].words;
}

bool has(const Words& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(CreatePlan, UvInstallsPackages) {
    const Inputs inputs{InputKind::packages, {"numpy", "einops==0.8"}};
    PlanOptions options = at();
    options.arguments = {"--no-index", "--find-links", "w"};
    EXPECT_EQ(words_of(inputs, kUv, options, 0), (Words{"/b/uv", "venv", "--no-project", "/e"}));
    EXPECT_EQ(words_of(inputs, kUv, options, 1),
              (Words{"/b/uv", "pip", "install", "--python", "/e/bin/python", "--compile-bytecode",
                     "--no-index", "--find-links", "w", "numpy", "einops==0.8"}));
    const auto plan = make_plan(inputs, kUv, options);
    EXPECT_EQ(plan->steps.size(), 2U);
    EXPECT_EQ(plan->steps[1].variables, Words{"UV_LINK_MODE=copy"});
}

TEST(CreatePlan, UvTakesEachOption) {
    PlanOptions options = at();
    options.has_true_path = false;
    options.has_system_packages = true;
    options.python = "3.12";
    options.index_url = "https://i/";
    const Inputs inputs{InputKind::requirements, {}, {"a.txt", "b.txt"}};
    EXPECT_EQ(words_of(inputs, kUv, options, 0),
              (Words{"/b/uv", "venv", "--no-project", "--relocatable", "--system-site-packages",
                     "--python", "3.12", "/e"}));
    EXPECT_EQ(words_of(inputs, kUv, options, 1),
              (Words{"/b/uv", "pip", "install", "--python", "/e/bin/python", "--compile-bytecode",
                     "--index-url", "https://i/", "-r", "a.txt", "-r", "b.txt"}));
}

TEST(CreatePlan, UvSyncsALock) {
    const Inputs inputs{InputKind::uv_lock, {}, {"p/uv.lock"}, "p"};
    PlanOptions options = at();
    options.arguments = {"--offline"};
    EXPECT_EQ(words_of(inputs, kUv, options, 0), (Words{"/b/uv", "venv", "--project", "p", "/e"}));
    EXPECT_EQ(words_of(inputs, kUv, options, 1),
              (Words{"/b/uv", "sync", "--project", "p", "--frozen", "--no-editable", "--no-dev",
                     "--compile-bytecode", "--offline"}));
    const auto plan = make_plan(inputs, kUv, options);
    EXPECT_EQ(plan->steps[1].variables, (Words{"UV_LINK_MODE=copy", "UV_PROJECT_ENVIRONMENT=/e"}));
    options.index_url = "https://i/";
    EXPECT_EQ(make_plan(inputs, kUv, options).error().code, Errc::invalid_argument);
}

TEST(CreatePlan, UvInstallsAProjectWithoutALock) {
    EXPECT_EQ(words_of({InputKind::project, {}, {"p/pyproject.toml"}, "p"}, kUv, at(), 1).back(),
              "p");
    const Words pylock = words_of({InputKind::pylock, {}, {"pylock.toml"}}, kUv, at(), 1);
    EXPECT_EQ(Words(pylock.end() - 2, pylock.end()), (Words{"-r", "pylock.toml"}));
}

TEST(CreatePlan, PipInstallsAndCompiles) {
    PlanOptions options = at();
    options.has_system_packages = true;
    options.index_url = "https://i/";
    options.arguments = {"--no-deps"};
    const Inputs inputs{InputKind::requirements, {}, {"r.txt"}};
    EXPECT_EQ(words_of(inputs, kPip, options, 0),
              (Words{"/b/python3", "-m", "venv", "--system-site-packages", "/e"}));
    EXPECT_EQ(words_of(inputs, kPip, options, 1),
              (Words{"/e/bin/python", "-m", "pip", "install", "--disable-pip-version-check",
                     "--index-url", "https://i/", "--no-deps", "-r", "r.txt"}));
    const Words compile = words_of(inputs, kPip, options, 2);
    EXPECT_TRUE(has(compile, "compileall") && has(compile, "timestamp") && has(compile, "/e/lib"));
    const auto plan = make_plan(inputs, kPip, options);
    EXPECT_TRUE(plan->steps[2].may_fail && !plan->steps[1].may_fail && !plan->steps[0].may_fail);
}

TEST(CreatePlan, LocksNeedUv) {
    for (const Inputs& inputs : {Inputs{InputKind::uv_lock, {}, {"p/uv.lock"}, "p"},
                                 Inputs{InputKind::pylock, {}, {"pylock.toml"}}}) {
        const auto plan = make_plan(inputs, Tools{}, at());
        ASSERT_FALSE(plan);
        EXPECT_EQ(plan.error().code, Errc::not_found);
        EXPECT_NE(plan.error().message().find("needs uv"), std::string::npos);
    }
}

TEST(CreatePlan, CondaMakesTheEnvironmentOfAFile) {
    const Inputs inputs{InputKind::conda, {}, {"environment.yml"}};
    PlanOptions options = at();
    options.arguments = {"--offline"};
    for (const auto& tools : {conda("micromamba", "1.5.8"), conda("mamba", "2.0.5")}) {
        EXPECT_EQ(words_of(inputs, tools, options, 0),
                  (Words{tools.conda.path, "install", "-y", "-p", "/e", "--offline", "-f",
                         "environment.yml"}));
        EXPECT_EQ(make_plan(inputs, tools, options)->empty_files, Words{"conda-meta/history"});
    }
    for (const auto& tools : {conda("mamba", "1.5.8"), conda("conda", "24.1.0")}) {
        EXPECT_EQ(words_of(inputs, tools, options, 0),
                  (Words{tools.conda.path, "env", "create", "-p", "/e", "--offline", "-f",
                         "environment.yml"}));
        EXPECT_TRUE(make_plan(inputs, tools, options)->empty_files.empty());
    }
}

TEST(CreatePlan, CondaTakesNoOptionsOfVirtualEnvironments) {
    const Inputs inputs{InputKind::conda, {}, {"environment.yml"}};
    PlanOptions python = at();
    python.python = "3.12";
    PlanOptions packages = at();
    packages.has_system_packages = true;
    PlanOptions index = at();
    index.index_url = "https://i/";
    for (const auto& options : {python, packages, index})
        EXPECT_EQ(make_plan(inputs, conda("conda", "24.1"), options).error().code,
                  Errc::invalid_argument);
    const auto missing = make_plan(inputs, Tools{}, at());
    EXPECT_NE(missing.error().message().find("micromamba, mamba nor conda"), std::string::npos);
}

TEST(CreatePlan, TemporaryFilesLieInStaging) {
    PlanOptions options = at();
    options.temporary = "/s/tmp";
    const auto plan = make_plan({InputKind::packages, {"numpy"}}, kPip, options);
    ASSERT_EQ(plan->steps.size(), 3U);
    for (const Step& step : plan->steps) EXPECT_EQ(step.variables.back(), "TMPDIR=/s/tmp");
}

TEST(CreatePlan, VariablesDoNotLeadElsewhere) {
    const Step step{"", {}, {"PIP_USER=0"}};
    EXPECT_EQ(variables_for(step, {"A=1", "PYTHONPATH=/x", "PIP_USER=1", "VIRTUAL_ENV=/y"}),
              (Words{"A=1", "UV_PYTHON_DOWNLOADS=never", "PIP_USER=0"}));
    EXPECT_EQ(variables_for(step, {"UV_PYTHON_DOWNLOADS=automatic"}),
              (Words{"UV_PYTHON_DOWNLOADS=automatic", "PIP_USER=0"}));
}

TEST(CreateTools, NamesAndVersions) {
    EXPECT_EQ(version_in("uv 0.9.2 (141369ce7 2025-10-10)\n"), "0.9.2");
    EXPECT_EQ(version_in("2.0.5\n"), "2.0.5");
    EXPECT_EQ(version_in("none"), "");
    EXPECT_TRUE(fits_version("3.11.2", "3.11") && fits_version("3.11.2", "3.11.2") &&
                fits_version("3.11.2", "3") && fits_version("3.11.2", ""));
    EXPECT_FALSE(fits_version("3.11.2", "3.1"));
    EXPECT_EQ(python_program(""), "python3");
    EXPECT_EQ(python_program("3"), "python3");
    EXPECT_EQ(python_program("3.12"), "python3.12");
    EXPECT_EQ(python_program("3.12.4"), "python3.12");
    EXPECT_EQ(python_program("/opt/bin/python"), "/opt/bin/python");
    EXPECT_EQ(python_program("pypy3"), "pypy3");
}

/// Files and directories to name.
class CreateInputs : public ::testing::Test {
  protected:
    CreateInputs() {
        std::string name = (fs::temp_directory_path() / "squenv-create-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        before_ = fs::current_path();
        fs::current_path(root_);
    }
    ~CreateInputs() override {
        fs::current_path(before_);
        fs::remove_all(root_);
    }
    static void write(const std::string& path) {
        fs::create_directories(fs::absolute(path).parent_path());
        std::ofstream(path) << "text\n";
    }
    static InputKind kind(const Words& requirements, const Words& words) {
        const auto inputs = recognise_inputs(requirements, words);
        EXPECT_TRUE(inputs) << inputs.error().message();
        return inputs ? inputs->kind : InputKind::packages;
    }
    static Errc refusal(const Words& requirements, const Words& words) {
        const auto inputs = recognise_inputs(requirements, words);
        return inputs ? Errc::internal : inputs.error().code;
    }

  private:
    fs::path root_;
    fs::path before_;
};

TEST_F(CreateInputs, AreRecognised) {
    for (const char* path : {"r.txt", "p/pyproject.toml", "l/pyproject.toml", "l/uv.lock",
                             "y/pylock.toml", "c/environment.yml", "numpy/data", "e.yaml"})
        write(path);
    EXPECT_EQ(kind({"r.txt"}, {}), InputKind::requirements);
    EXPECT_EQ(kind({}, {"numpy", "einops>=0.8"}), InputKind::packages);  // no project in it
    EXPECT_EQ(kind({}, {"p"}), InputKind::project);
    EXPECT_EQ(kind({}, {"./l"}), InputKind::uv_lock);
    EXPECT_EQ(kind({}, {"y/"}), InputKind::pylock);
    EXPECT_EQ(kind({}, {"c/environment.yml"}), InputKind::conda);
    EXPECT_EQ(kind({}, {"c/"}), InputKind::conda);
    EXPECT_EQ(kind({"e.yaml"}, {}), InputKind::conda);
    EXPECT_EQ(recognise_inputs({}, {"l"})->project, "l");
    EXPECT_EQ(recognise_inputs({}, {"l"})->files, (Words{"l/uv.lock", "l/pyproject.toml"}));
}

TEST_F(CreateInputs, AreOneThing) {
    for (const char* path : {"r.txt", "p/pyproject.toml", "e.yml", "empty/x"}) write(path);
    EXPECT_EQ(refusal({}, {}), Errc::invalid_argument);
    EXPECT_EQ(refusal({"r.txt"}, {"numpy"}), Errc::invalid_argument);
    EXPECT_EQ(refusal({}, {"numpy", "p"}), Errc::invalid_argument);
    EXPECT_EQ(refusal({"r.txt", "e.yml"}, {}), Errc::invalid_argument);
    EXPECT_EQ(refusal({}, {"r.txt"}), Errc::invalid_argument);
    EXPECT_EQ(refusal({}, {"empty/"}), Errc::invalid_argument);
    EXPECT_EQ(refusal({"missing.txt"}, {}), Errc::not_found);
    EXPECT_EQ(refusal({"p"}, {}), Errc::invalid_argument);
    EXPECT_EQ(refusal({}, {"missing.yml"}), Errc::not_found);
}

}  // namespace
}  // namespace squenv::create
