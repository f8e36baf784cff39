// SPDX-License-Identifier: MIT
#include "venv/activation.h"

#include <gtest/gtest.h>

namespace squenv::venv {
namespace {

TEST(Activation, SetsWhatActivateSets) {
    const auto changes = activation("/home/u/project/.venv", "/usr/bin");
    const std::vector<Change> expected{{"VIRTUAL_ENV", "/home/u/project/.venv"},
                                       {"VIRTUAL_ENV_PROMPT", "project"},
                                       {"PATH", "/home/u/project/.venv/bin:/usr/bin"},
                                       {"PYTHONHOME", "", true},
                                       {"PIP_USER", "0", false, true}};
    EXPECT_EQ(changes, expected);
}

TEST(Activation, SetsWhatCondaSets) {
    const auto changes = activation("/opt/conda/envs/lab", "/usr/bin", EnvironmentKind::conda);
    const std::vector<Change> expected{{"CONDA_PREFIX", "/opt/conda/envs/lab"},
                                       {"CONDA_DEFAULT_ENV", "lab"},
                                       {"CONDA_PROMPT_MODIFIER", "(lab) "},
                                       {"CONDA_SHLVL", "1"},
                                       {"VIRTUAL_ENV", "", true},
                                       {"VIRTUAL_ENV_PROMPT", "", true},
                                       {"PATH", "/opt/conda/envs/lab/bin:/usr/bin"},
                                       {"PYTHONHOME", "", true},
                                       {"PIP_USER", "0", false, true}};
    EXPECT_EQ(changes, expected);
}

TEST(Activation, EmptyPath) {
    EXPECT_EQ(activation("/v", "")[2].value, "/v/bin");
}

TEST(Activation, AnActiveOneIsNotAddedAgain) {
    for (const auto& change : activation("/v", "/v/bin:/usr/bin")) EXPECT_NE(change.name, "PATH");
    EXPECT_EQ(activation("/v", "/v/bin2:/usr/bin")[2].value, "/v/bin:/v/bin2:/usr/bin");
}

TEST(Activation, PromptNames) {
    EXPECT_EQ(prompt_name("/a/b/venv"), "b");
    EXPECT_EQ(prompt_name("/a/b/torch"), "torch");
    EXPECT_EQ(prompt_name("/.venv"), ".venv");
}

}  // namespace
}  // namespace squenv::venv
