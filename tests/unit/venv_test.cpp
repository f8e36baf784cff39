// SPDX-License-Identifier: MIT
#include "venv/check.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pack/directory_source.h"

namespace squenv::venv {
namespace {

namespace fs = std::filesystem;

/// An environment on disk with one module that has no compiled form.
class VenvTest : public ::testing::Test {
  protected:
    VenvTest() {
        std::string name = (fs::temp_directory_path() / "squenv-venv-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        write("pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n");
        fs::create_directories(root_ / site());
        write("bin/tool", "#!" + (root_ / "bin/python").string() + "\n");
        write("bin/activate", "VIRTUAL_ENV=\"" + root_.string() + "\"\n");
        fs::create_symlink("/usr/bin/python3", root_ / "bin/python3");
    }
    ~VenvTest() override { fs::remove_all(root_); }

    static std::string site() { return "lib/python3.11/site-packages"; }
    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path, std::ios::binary) << text;
    }
    /// Those of a walk as the packer does it.
    std::vector<Finding> findings(const std::string& compiled = {}, const std::string& place = {}) {
        auto environment = recognise(root_.string());
        EXPECT_TRUE(environment && *environment);
        (*environment)->place = place;
        Check check(**environment, compiled);
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

    fs::path root_;
};

TEST(Config, IsReadInAllDialects) {
    const auto uv = parse_config("home = /opt/py\nversion_info = 3.12.1\nrelocatable = true\n");
    EXPECT_EQ(uv.python_version, "3.12.1");
    EXPECT_EQ(uv.home, "/opt/py");
    EXPECT_TRUE(uv.is_relocatable);
    const auto none = parse_config("nonsense\n=\n relocatable=no");
    EXPECT_FALSE(none.is_relocatable);
    EXPECT_EQ(none.python_version, "");
    EXPECT_FALSE(none.has_system_packages);
    EXPECT_TRUE(parse_config("Include-System-Site-Packages = True\n").has_system_packages);
    EXPECT_FALSE(parse_config("include-system-site-packages = false\n").has_system_packages);
}

TEST_F(VenvTest, IsRecognised) {
    const auto environment = recognise(root_.string());
    ASSERT_TRUE(environment && *environment);
    EXPECT_EQ((*environment)->library, "lib/python3.11");
    EXPECT_EQ((*environment)->site_packages(), site());
    fs::remove(root_ / "pyvenv.cfg");
    const auto none = recognise(root_.string());
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
}

TEST_F(VenvTest, HealthyOnesHaveNoFindings) {
    EXPECT_TRUE(findings().empty());
}

TEST_F(VenvTest, MayLieElsewhere) {
    const auto found = findings({}, "/made/for");
    EXPECT_TRUE(names(found, "bin/tool", "runs with " + root_.string()));
    EXPECT_TRUE(names(found, "bin/activate", "activates " + root_.string()));
    EXPECT_EQ(found.size(), 2U);
    write("bin/tool", "#!/made/for/bin/python\n");
    write("bin/activate", "VIRTUAL_ENV=/made/for\n");
    write(site() + "/inside.pth", "/made/for/src\n./here\n");
    fs::create_symlink("/made/for/bin/tool", root_ / "bin" / "other");
    EXPECT_TRUE(findings({}, "/made/for").empty());
    EXPECT_EQ(findings().size(), 4U);
}

TEST_F(VenvTest, FindsWhatPointsOutside) {
    write(site() + "/editable.pth", "# comment\nimport sys\n/somewhere/else/src\n./inside\n");
    write(site() + "/pkg-1.0.dist-info/direct_url.json",
          R"({"url": "file:///src/pkg", "dir_info": {"editable": true}})");
    write(site() + "/fine-1.0.dist-info/direct_url.json", R"({"url": "x", "dir_info": {}})");
    fs::create_symlink("/etc/hostname", root_ / site() / "outside");
    fs::create_symlink("../../../../../../../../tmp/x", root_ / site() / "relative");
    fs::create_symlink("../site-packages/editable.pth", root_ / site() / "inside");
    const auto found = findings();
    EXPECT_TRUE(names(found, site() + "/editable.pth", "/somewhere/else/src"));
    EXPECT_TRUE(names(found, site() + "/pkg-1.0.dist-info/direct_url.json", "file:///src/pkg"));
    EXPECT_TRUE(names(found, site() + "/outside", "/etc/hostname"));
    EXPECT_TRUE(names(found, site() + "/relative", "outside the tree"));
    EXPECT_EQ(found.size(), 4U);
}

TEST_F(VenvTest, FindsAnInterpreterThatIsNotHere) {
    const std::string gone = (root_ / "gone").string();
    fs::remove(root_ / "bin/python3");
    fs::create_symlink(gone + "/bin/python3.11", root_ / "bin/python3.11");
    fs::create_symlink("python3.11", root_ / "bin/python3");
    fs::create_symlink("python3", root_ / "bin/python");
    auto found = findings();
    EXPECT_TRUE(names(found, "bin/python3", gone + "/bin/python3.11, which is not here"));
    EXPECT_EQ(found.size(), 1U);
    write("pyvenv.cfg", "home = " + gone + "/bin\nversion = 3.11.2\n");
    found = findings();
    EXPECT_TRUE(names(found, "pyvenv.cfg", "home = " + gone + "/bin"));
    EXPECT_EQ(found.size(), 2U);
    write("gone/bin/python3.11", "");
    EXPECT_TRUE(findings().empty());
    fs::remove(root_ / "bin/python3");
    fs::create_symlink("python3", root_ / "bin/python3");
    EXPECT_TRUE(names(findings(), "bin/python3", "leads to")) << "a link to itself";
    fs::remove(root_ / "bin/python3");
    EXPECT_TRUE(names(findings(), "bin/python", "leads to"));
}

TEST_F(VenvTest, FindsThatPackagesOfTheSystemAreSeen) {
    write("pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\ninclude-system-site-packages = true\n");
    const auto found = findings();
    EXPECT_TRUE(names(found, "pyvenv.cfg", "from the system"));
    EXPECT_EQ(found.size(), 1U);
}

TEST_F(VenvTest, FindsScriptsOfAnotherPath) {
    write("bin/old", "#!/home/other/.venv/bin/python3.11\n");
    write("bin/long", "#!/bin/sh\n'''exec' '/home/other/.venv/bin/python' \"$0\" \"$@\"\n' '''\n");
    write("bin/shell", "#!/bin/sh\n");
    write("bin/activate.fish", "set -gx VIRTUAL_ENV '/home/other/.venv'\n");
    write("bin/activate.csh", "setenv VIRTUAL_ENV \"" + root_.string() + "\"\n");
    const auto found = findings();
    EXPECT_TRUE(names(found, "bin/old", "/home/other/.venv/bin/python3.11"));
    EXPECT_TRUE(names(found, "bin/long", "/home/other/.venv/bin/python"));
    EXPECT_TRUE(names(found, "bin/activate.fish", "/home/other/.venv"));
    EXPECT_EQ(found.size(), 3U);
}

TEST_F(VenvTest, FindsModulesWithoutValidCompiledForm) {
    const std::string module = site() + "/m.py";
    const std::string compiled = site() + "/__pycache__/m.cpython-311.pyc";
    write(module, "x = 1\n");
    EXPECT_TRUE(names(findings(), module, "no compiled form"));
    write(compiled, std::string("\xa7\x0d\x0d\x0a", 4) + std::string(12, '\0') + "code");
    EXPECT_TRUE(names(findings(), module, "newer than its compiled form"));
    // Never checked: hash-based, bit 1 clear.
    write(compiled, std::string("\xa7\x0d\x0d\x0a\x01\0\0\0", 8) + std::string(8, '\0') + "code");
    EXPECT_TRUE(findings().empty());
    struct stat info {};
    ASSERT_EQ(::stat((root_ / module).c_str(), &info), 0);
    std::string head("\xa7\x0d\x0d\x0a\0\0\0\0", 8);
    for (int i = 0; i < 4; ++i) head += static_cast<char>(info.st_mtime >> (8 * i));
    head += std::string("\x06\0\0\0", 4);
    write(compiled, head + "code");
    EXPECT_TRUE(findings().empty());
}

TEST_F(VenvTest, FormsThatWereMadeElsewhereCount) {
    write(site() + "/m.py", "x = 1\n");
    write(site() + "/n.py", "x = 1\n");
    write("over/" + site() + "/__pycache__/m.cpython-311.pyc",
          std::string("\xa7\x0d\x0d\x0a\x01\0\0\0", 8) + std::string(8, '\0') + "code");
    const auto found = findings((root_ / "over").string());
    EXPECT_TRUE(names(found, site() + "/n.py", "no compiled form"));
    EXPECT_EQ(found.size(), 1U);
}

TEST_F(VenvTest, ACacheThatIsALinkCounts) {
    write(site() + "/m.py", "x = 1\n");
    write(site() + "/forms/m.cpython-311.pyc",
          std::string("\xa7\x0d\x0d\x0a\x01\0\0\0", 8) + std::string(8, '\0') + "code");
    EXPECT_EQ(findings().size(), 1U);
    fs::create_symlink("forms", root_ / site() / "__pycache__");
    EXPECT_TRUE(findings().empty());
}

TEST_F(VenvTest, ADirectoryThatCannotBeListedIsNamed) {
    const auto environment = recognise(root_.string());
    ASSERT_TRUE(environment && *environment);
    Check check(**environment);
    check.visit({std::string("lib")});
    check.visit({std::string()});
    const auto found = check.finish();
    EXPECT_TRUE(names(found, "lib", "cannot be listed"));
    EXPECT_TRUE(names(found, ".", "cannot be listed"));
    EXPECT_EQ(found.size(), 2U);
}

}  // namespace
}  // namespace squenv::venv
