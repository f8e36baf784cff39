// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pack/directory_source.h"
#include "venv/check.h"

namespace squenv::venv {
namespace {

namespace fs = std::filesystem;

/// A prefix of conda on disk with Python 3.11 and one package, at its own path.
class CondaTest : public ::testing::Test {
  protected:
    CondaTest() {
        std::string name = (fs::temp_directory_path() / "squenv-conda-XXXXXX").string();
        top_ = ::mkdtemp(name.data());
        root_ = top_ / "env";
        write("lib/python3.11/site-packages/README", "");
        record("python-3.11.5-h0_0", "python", {"bin/pydoc", "lib/libpython3.11.so"});
        write("bin/pydoc", "#!" + (root_ / "bin/python3.11").string() + "\n");
        write("lib/libpython3.11.so", std::string("\x7f") + "ELF" + std::string(2'000'000, '\1') +
                                          root_.string() + std::string(200, '\0'));
    }
    ~CondaTest() override { fs::remove_all(top_); }

    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path, std::ios::binary) << text;
    }
    [[nodiscard]] std::string cache(const std::string& package) const {
        return (top_ / "pkgs" / package).string();
    }
    /// As conda writes it, of a package whose files `bound` contain the path.
    void record(const std::string& stem, const std::string& name,
                const std::vector<std::string>& bound) {
        std::string paths;
        for (const auto& path : bound)
            paths += (paths.empty() ? "" : ",") + std::string("{\"_path\": \"") + path +
                     "\", \"prefix_placeholder\": \"/opt/placehold\", \"file_mode\": \"text\"}";
        write("conda-meta/" + stem + ".json",
              "{\"files\": [\"x\"], \"link\": {\"source\": \"" + cache(stem) +
                  "\", \"type\": 1}, \"name\": \"" + name + "\", \"paths_data\": {\"paths\": [" +
                  paths + (paths.empty() ? "" : ",") + "{\"_path\": \"other\"}]}}");
    }
    std::vector<Finding> findings(const std::string& mount_point = {}) {
        const auto environment = recognise(root_.string());
        EXPECT_TRUE(environment && *environment);
        Check check(**environment, "", mount_point);
        const pack::Options options;
        const auto source =
            pack::open_directory_source(root_.string(), "", options, std::nullopt, &check);
        EXPECT_TRUE(source && (*source)->scan());
        return check.finish();
    }
    static bool names(const std::vector<Finding>& findings, const std::string& path,
                      const std::string& reason) {
        return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
            return finding.path == path && finding.reason.find(reason) != std::string::npos &&
                   !finding.advice.empty();
        });
    }

    fs::path top_;
    fs::path root_;
};

TEST_F(CondaTest, IsRecognised) {
    const auto environment = recognise(root_.string());
    ASSERT_TRUE(environment && *environment);
    EXPECT_EQ((*environment)->kind, EnvironmentKind::conda);
    EXPECT_EQ((*environment)->python_version, "3.11.5");
    EXPECT_EQ((*environment)->library, "lib/python3.11");
    EXPECT_FALSE((*environment)->is_relocatable);
}

TEST_F(CondaTest, OneAtItsPathIsInOrder) {
    EXPECT_TRUE(findings().empty()) << findings().front().path << findings().front().reason;
    EXPECT_TRUE(findings(root_.string()).empty());
}

TEST_F(CondaTest, AnotherMountPointIsFound) {
    const auto found = findings("/opt/elsewhere");
    EXPECT_TRUE(names(found, "bin/pydoc",
                      "and 1 other files were installed for another path than /opt/elsewhere"));
    EXPECT_TRUE(names(found, "bin/pydoc", "runs with " + root_.string()));
    EXPECT_EQ(found.size(), 2U);
}

TEST_F(CondaTest, AMovedEnvironmentIsFound) {
    fs::rename(root_, top_ / "env2");
    root_ = top_ / "env2";
    const auto found = findings();
    EXPECT_TRUE(names(found, "bin/pydoc", "another path than " + root_.string()));
    // "/tmp/env" is not in "/tmp/env2" because the other begins with it.
    fs::rename(root_, top_ / "en");
    root_ = top_ / "en";
    EXPECT_TRUE(names(findings(), "bin/pydoc", "another path than " + root_.string()));
}

TEST_F(CondaTest, APathAcrossTwoPiecesIsFound) {
    for (const int before : {-5, -1, 0, 1}) {
        const std::size_t at = (1U << 20) - root_.string().size() + static_cast<std::size_t>(5);
        write("lib/libpython3.11.so", std::string(at + static_cast<std::size_t>(before + 5), '\1') +
                                          root_.string() + "/lib");
        EXPECT_TRUE(findings().empty()) << before;
    }
    write("lib/libpython3.11.so", root_.string());
    EXPECT_TRUE(findings().empty()) << "all of a file";
    write("lib/libpython3.11.so", std::string(1U << 20, '\1') + 'x' + root_.string());
    EXPECT_TRUE(findings().empty() == false) << "a part of another name";
}

TEST_F(CondaTest, LinksIntoTheCacheAreOnePerPackage) {
    record("zlib-1.3-h0_0", "zlib", {});
    write("lib/README", "");
    for (const char* name : {"libz.so", "libz.so.1"})
        fs::create_symlink(cache("zlib-1.3-h0_0") + "/lib/" + name, root_ / "lib" / name);
    fs::create_symlink(cache("python-3.11.5-h0_0") + "/bin/2to3", root_ / "bin/2to3");
    fs::create_symlink("/opt/data", root_ / "data");
    fs::create_symlink("libz.so", root_ / "lib/inside");
    const auto found = findings();
    EXPECT_TRUE(
        names(found, "lib/libz.so", "and 1 other files of zlib are links into the package"));
    EXPECT_TRUE(names(found, "bin/2to3", "is a link into the package cache"));
    EXPECT_TRUE(names(found, "data", "is a link to /opt/data, outside the tree"));
    EXPECT_EQ(found.size(), 3U);
}

TEST_F(CondaTest, HostileRecordsAreNoRecords) {
    write("conda-meta/a-1-0.json", std::string(100'000, '['));
    write("conda-meta/b-1-0.json",
          "{\"name\": 7, \"paths_data\": {\"paths\": [7, {\"_path\": 7}]}}");
    record("c-1-0", "c", {"../outside", "/etc/passwd", "none", "lib"});
    fs::create_symlink("/no/such/record", root_ / "conda-meta/d-1-0.json");
    for (const auto& finding : findings())
        EXPECT_EQ(finding.path, "conda-meta/d-1-0.json") << finding.reason;
}

}  // namespace
}  // namespace squenv::venv
