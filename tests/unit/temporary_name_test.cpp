// SPDX-License-Identifier: MIT
#include "base/temporary_name.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

namespace squenv {
namespace {

namespace fs = std::filesystem;

class TemporaryNames : public ::testing::Test {
  protected:
    TemporaryNames() {
        std::string name = (fs::temp_directory_path() / "squenv-names-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
    }
    ~TemporaryNames() override { fs::remove_all(root_); }
    [[nodiscard]] std::string made(const std::string& name) const {
        std::ofstream(root_ / name) << "x";
        return (root_ / name).string();
    }

    fs::path root_;
};

TEST_F(TemporaryNames, AreNewEveryTime) {
    std::set<std::string> names;
    for (int i = 0; i < 1000; ++i) names.insert(unique_name("a.tmp."));
    EXPECT_EQ(names.size(), 1000U);
    for (const std::string& name : names) {
        EXPECT_TRUE(name.starts_with("a.tmp."));
        EXPECT_EQ(name.size(), 6U + 16U);
    }
}

TEST_F(TemporaryNames, AreRemovedWhileTheyAreHeld) {
    const std::string forgotten = made("forgotten");
    const std::string held = made("held");
    const std::string moved = made("moved");
    { const TemporaryName name(forgotten); }
    const TemporaryName name(held);
    TemporaryName from(moved);
    TemporaryName to;
    to = std::move(from);
    remove_temporary_names();
    EXPECT_TRUE(fs::exists(forgotten));
    EXPECT_FALSE(fs::exists(held));
    EXPECT_FALSE(fs::exists(moved));
}

TEST_F(TemporaryNames, TooManyAndTooLongOnesAreNotHeld) {
    const TemporaryName endless(std::string(100'000, 'n'));
    std::vector<TemporaryName> names;
    std::vector<std::string> paths;
    for (int i = 0; i < 20; ++i) {
        paths.push_back(made(std::to_string(i)));
        names.emplace_back(paths.back());
    }
    remove_temporary_names();
    EXPECT_FALSE(fs::exists(paths.front()));
    EXPECT_TRUE(fs::exists(paths.back()));
    names.clear();
    // Their places are free again.
    const TemporaryName last(paths.back());
    remove_temporary_names();
    EXPECT_FALSE(fs::exists(paths.back()));
}

}  // namespace
}  // namespace squenv
