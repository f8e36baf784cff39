// SPDX-License-Identifier: MIT
#include "venv/activation.h"

#include <gtest/gtest.h>

namespace squenv::venv {
namespace {

TEST(Activation, SetsWhatActivateSets) {
    const auto changes = activation("/home/u/project/.venv", "/usr/bin");
    const std::vector<Change> expected{{"VIRTUAL_ENV", "/home/u/project/.venv"},
                                       {"VIRTUAL_ENV_PROMPT", "(project) "},
                                       {"PATH", "/home/u/project/.venv/bin:/usr/bin"},
                                       {"PYTHONHOME", "", true}};
    EXPECT_EQ(changes, expected);
}

TEST(Activation, EmptyPath) {
    EXPECT_EQ(activation("/v", "")[2].value, "/v/bin");
}

TEST(Activation, PromptNames) {
    EXPECT_EQ(prompt_name("/a/b/venv"), "b");
    EXPECT_EQ(prompt_name("/a/b/torch"), "torch");
    EXPECT_EQ(prompt_name("/.venv"), ".venv");
}

}  // namespace
}  // namespace squenv::venv
