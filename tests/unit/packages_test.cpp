// SPDX-License-Identifier: MIT
#include "venv/packages.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace squenv::venv {
namespace {

namespace fs = std::filesystem;

/// A tree on disk, empty at first.
class PackagesTest : public ::testing::Test {
  protected:
    PackagesTest() {
        std::string name = (fs::temp_directory_path() / "squenv-packages-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
    }
    ~PackagesTest() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text = "") {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path, std::ios::binary) << text;
    }
    void install(const std::string& record, const std::string& name, const std::string& version) {
        write("lib/python3.11/site-packages/" + record,
              "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version +
                  "\nSummary: x\n\nName: of the description\nVersion: 99\n");
    }
    [[nodiscard]] std::vector<Package> packages() const {
        const auto found = installed_packages(DirectoryTree(root_.string()));
        EXPECT_TRUE(found) << found.error().message();
        return found.value_or(std::vector<Package>());
    }

    fs::path root_;
};

using Packages = std::vector<Package>;

TEST(PackageName, IsNormalised) {
    EXPECT_EQ(normalised_name("Flask_SQLAlchemy"), "flask-sqlalchemy");
    EXPECT_EQ(normalised_name("zope.-_interface"), "zope-interface");
    EXPECT_EQ(normalised_name(""), "");
}

TEST_F(PackagesTest, EveryKindOfRecordIsRead) {
    install("Flask_Login-0.6.dist-info/METADATA", "Flask-Login", "0.6.3");
    install("old.egg-info/PKG-INFO", "old", "1");
    install("older-2.0-py3.11.egg-info", "Older", "2.0");
    install("egg-3.0-py3.11.egg/EGG-INFO/PKG-INFO", "egg", "3.0");
    write("lib/python3.11/site-packages/bare-4.0.dist-info/METADATA", "Summary: no name\n");
    EXPECT_EQ(packages(), (Packages{{"bare", "4.0"},
                                    {"egg", "3.0"},
                                    {"Flask-Login", "0.6.3"},
                                    {"old", "1"},
                                    {"Older", "2.0"}}));
}

TEST_F(PackagesTest, WhatIsNotInstalledIsNoPackage) {
    install("~umpy-1.0.dist-info/METADATA", "numpy", "1.0");
    write("lib/python3.11/site-packages/gone-1.0.dist-info/RECORD");
    write("lib/python3.11/site-packages/module.py");
    write("share/other-1.0.dist-info/METADATA", "Name: other\nVersion: 1\n");
    EXPECT_EQ(packages(), Packages());
    EXPECT_EQ(installed_packages(DirectoryTree((root_ / "none").string())).value(), Packages());
}

TEST_F(PackagesTest, LinkedRecordIsKnownByItsName) {
    fs::create_directories(root_ / "lib/python3.11/site-packages");
    fs::create_symlink("/no/such/cache", root_ / "lib/python3.11/site-packages/a_b-1.5.dist-info");
    EXPECT_EQ(packages(), (Packages{{"a_b", "1.5"}}));
}

TEST_F(PackagesTest, CondaAndPythonNameAPackageOnce) {
    install("numpy-1.26.4.dist-info/METADATA", "numpy", "1.26.4");
    install("requests-2.32.dist-info/METADATA", "requests", "2.32");
    write("conda-meta/numpy-1.26.4-py311h64a7726_0.json", "not even JSON");
    write("conda-meta/requests-2.31-pyhd8ed1ab_0.json");
    write("conda-meta/ca-certificates-2024.2.2-hbcca054_0.json");
    write("conda-meta/history");
    write("conda-meta/nonsense.json");
    EXPECT_EQ(packages(), (Packages{{"ca-certificates", "2024.2.2", "hbcca054_0"},
                                    {"numpy", "1.26.4", "py311h64a7726_0"},
                                    {"requests", "2.32"}}));
}

TEST_F(PackagesTest, EnvironmentOfAProjectIsFound) {
    write(".venv/pyvenv.cfg", "home = /usr/bin\n");
    write(".venv/lib/python3.12/site-packages/a-1.dist-info/METADATA", "Name: a\nVersion: 1\n");
    EXPECT_EQ(packages(), (Packages{{"a", "1"}}));
    // A tree that is an environment itself has no other.
    write("pyvenv.cfg");
    EXPECT_EQ(packages(), Packages());
}

TEST_F(PackagesTest, HostileMetadataIsBounded) {
    install("long-1.dist-info/METADATA", std::string(5000, 'n'), std::string(5000, '1'));
    write("lib/python3.11/site-packages/late-7.dist-info/METADATA",
          "Description: " + std::string(70'000, 'x') + "\nName: late\n");
    fs::create_directories(root_ / "lib/python3.11/site-packages/dir-1.egg-info/PKG-INFO");
    const auto found = packages();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0], (Package{"late", "7"}));
    EXPECT_EQ(found[1].name.size() + found[1].version.size(), 512U);
}

TEST(PackageDiff, SaysWhatHappened) {
    const Packages before{{"a", "1"}, {"B_c", "1"}, {"d", "1"}, {"same", "1"}, {"x", "1", "h0"}};
    const Packages after{{"b-c", "2"}, {"d", "1"},    {"d", "2"},
                         {"new", "3"}, {"same", "1"}, {"x", "1", "h1"}};
    const auto diff = compare_packages(before, after);
    EXPECT_EQ(diff.added, (Packages{{"d", "2"}, {"new", "3"}}));
    EXPECT_EQ(diff.removed, (Packages{{"a", "1"}}));
    EXPECT_EQ(diff.updated, (std::vector<PackageUpdate>{{{"B_c", "1"}, {"b-c", "2"}},
                                                        {{"x", "1", "h0"}, {"x", "1", "h1"}}}));
    EXPECT_FALSE(diff.is_empty());
    EXPECT_TRUE(compare_packages(before, before).is_empty());
    EXPECT_TRUE(compare_packages({}, {}).is_empty());
    EXPECT_EQ(compare_packages({}, after).added.size(), after.size());
}

TEST(PackageDiff, SeveralVersionsOfOneName) {
    const auto diff = compare_packages({{"a", "1"}, {"a", "2"}}, {{"a", "2"}, {"a", "3"}});
    ASSERT_EQ(diff.updated.size(), 1U);
    EXPECT_EQ(diff.updated[0], (PackageUpdate{{"a", "1"}, {"a", "3"}}));
    EXPECT_TRUE(diff.added.empty() && diff.removed.empty());
}

}  // namespace
}  // namespace squenv::venv
