// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "label/label.h"
#include "label/repository.h"
#include "label/settings.h"

namespace squenv::label {
namespace {

using testing::HasSubstr;

TEST(Label, ReadsTheGrammar) {
    for (const auto& [text, label] : std::vector<std::pair<std::string, Label>>{
             {"gnu", {"gnu", "", "", "", ""}},
             {"prgenv-gnu/24.11:v1@daint%gh200", {"prgenv-gnu", "24.11", "v1", "daint", "gh200"}},
             {"gnu/24.11:v1%gh200@daint", {"gnu", "24.11", "v1", "daint", "gh200"}},
             {"gnu:v1", {"gnu", "", "v1", "", ""}},
             {"gnu@*", {"gnu", "", "", "*", ""}},
             {"gnu%zen2", {"gnu", "", "", "", "zen2"}},
             {":v1", {"", "", "v1", "", ""}},
             {"@*", {"", "", "", "*", ""}},
             {"%zen2", {"", "", "", "", "zen2"}},
             {"3.14_x-y", {"3.14_x-y", "", "", "", ""}}}) {
        const auto parsed = parse_label(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(*parsed, label) << text;
        const auto again = parse_label(text_of(*parsed));
        ASSERT_TRUE(again) << text;
        EXPECT_EQ(*again, label) << text;
    }
}

TEST(Label, RefusesOtherText) {
    for (const char* text :
         {"", "-gnu", ".gnu", "/gnu", "gnu/", "gnu:", "gnu@", "gnu%", "gnu/*", "gnu:v1/24", "a b",
          "gnu@a@b", "gnu%a%b", "gnu/a/b", "gnu:a:b", "gnu%*", "gnu,x", "gnu@-a", "deploy::gnu"})
        EXPECT_FALSE(parse_label(text)) << text;
}

TEST(Label, MayBeADigest) {
    for (const char* text : {"0123", "abcd", "510094ddb3484e30"})
        EXPECT_TRUE(parse_label(text)->may_be_digest()) << text;
    EXPECT_TRUE(parse_label("abcd@daint")->may_be_digest());
    for (const char* text : {"abc", "abcg", "ABCD", "abcd/1", "abcd:v1", "abcd%zen2"})
        EXPECT_FALSE(parse_label(text)->may_be_digest()) << text;
    EXPECT_TRUE(is_digest_begin(std::string(64, 'a')));
    EXPECT_FALSE(is_digest_begin(std::string(65, 'a')));
}

TEST(Label, HasTheSystemOfTheMachine) {
    const Settings settings{{}, "daint"};
    EXPECT_EQ(for_system({"gnu"}, settings).system, "daint");
    EXPECT_EQ(for_system(*parse_label("gnu@eiger"), settings).system, "eiger");
    EXPECT_EQ(for_system(*parse_label("gnu@*"), settings).system, "");
    EXPECT_EQ(for_system({"gnu"}, {}).system, "");
}

class Repositories : public testing::Test {
  protected:
    void SetUp() override {
        root_ = (std::filesystem::temp_directory_path() / "squenv-label-XXXXXX").string();
        ASSERT_NE(::mkdtemp(root_.data()), nullptr);
        sources_.system_directory = root_ + "/etc";
        sources_.variables["HOME"] = root_ + "/home";
    }
    void TearDown() override { std::filesystem::remove_all(root_); }
    /// Makes a repository without index.db that has images of these digests.
    std::string make(const std::string& name, const std::vector<std::string>& digests = {}) {
        const std::string path = root_ + '/' + name;
        std::filesystem::create_directories(path + "/images");
        for (const auto& digest : digests)
            std::filesystem::create_directories(path + "/images/" + digest);
        return path;
    }
    void write(const std::string& name, const std::string& text) {
        const std::filesystem::path path = root_ + '/' + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    /// Their paths below the test's directory, with blanks.
    std::string found() {
        const auto settings = load_settings(sources_);
        if (!settings) return settings.error().message();
        std::string text;
        for (const auto& repository : settings->repositories)
            text += (text.empty() ? "" : " ") + repository.path.substr(root_.size() + 1);
        return text;
    }

    std::string root_;
    Sources sources_;
};

TEST_F(Repositories, AreInTheDefaultPlaces) {
    EXPECT_EQ(found(), "");
    make("home/.uenv/repo");
    EXPECT_EQ(found(), "home/.uenv/repo");
    sources_.variables["SCRATCH"] = root_ + "/scratch";
    EXPECT_EQ(found(), "home/.uenv/repo");
    make("scratch/.uenv-images");
    EXPECT_EQ(found(), "scratch/.uenv-images");
}

TEST_F(Repositories, AreNamedByFilesAndVariables) {
    make("home/.uenv/repo");
    write("etc/config", "repo = " + make("system"));
    EXPECT_EQ(found(), "system");
    write("other", "repo=" + make("moved"));
    sources_.variables["UENV_SYSTEM_CONFIG"] = root_ + "/other";
    EXPECT_EQ(found(), "moved");
    write("home/.config/uenv/config", "#repo = x\ncolor=true\n  repo =  ${ROOT}/user  \n");
    sources_.variables["ROOT"] = root_;
    make("user");
    EXPECT_EQ(found(), "user");
    sources_.variables["UENV_REPO_PATH"] = make("named");
    EXPECT_EQ(found(), "named");
    sources_.repository = make("given");
    EXPECT_EQ(found(), "given");
    sources_.repository = root_ + "/none";
    EXPECT_THAT(found(), HasSubstr("/none: no repository of uenvs"));
}

TEST_F(Repositories, FindImagesByDigest) {
    const std::string one = "abcd" + std::string(60, '0');
    const std::string other = "abce" + std::string(60, '0');
    const std::vector<Repository> all{{"", make("empty"), 1},
                                      {"", make("full", {one, other, "abcd"}), 2}};
    const auto record = find_record(all, {"abcd"});
    ASSERT_TRUE(record && *record);
    EXPECT_EQ((*record)->image, root_ + "/full/images/" + one + "/store.squashfs");
    EXPECT_EQ((*record)->id, one.substr(0, 16));
    EXPECT_FALSE(*find_record(all, {"ffff"}));
    EXPECT_FALSE(*find_record(all, {"gnu"}));
    std::filesystem::create_directories(root_ + "/full/images/abcd1" + std::string(59, '0'));
    const auto several = find_record(all, {"abcd"});
    ASSERT_FALSE(several);
    EXPECT_THAT(several.error().message(), HasSubstr("abcd: several uenvs have this label"));
    EXPECT_THAT(several.error().message(), HasSubstr("\n  abcd100000000000"));
}

}  // namespace
}  // namespace squenv::label
