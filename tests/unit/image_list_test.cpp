// SPDX-License-Identifier: MIT
#include "cli/image_list.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace squenv::cli {
namespace {

std::vector<ListedImage> parsed(const std::string& text) {
    auto list = parse_image_list(text);
    EXPECT_TRUE(list) << text;
    return list ? *list : std::vector<ListedImage>();
}

TEST(ImageList, ImagesAndPaths) {
    const auto list = parsed("a.sqfs,b.sqfs:/opt/b,c.sqfs:d");
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0].image, "a.sqfs");
    EXPECT_EQ(list[0].path, "");
    EXPECT_EQ(list[1].image, "b.sqfs");
    EXPECT_EQ(list[1].path, "/opt/b");
    EXPECT_EQ(list[2].path, "d");
}

TEST(ImageList, TheLastColonSplits) {
    const auto list = parsed("host:image:/path");
    EXPECT_EQ(list[0].image, "host:image");
    EXPECT_EQ(list[0].path, "/path");
}

TEST(ImageList, Backslashes) {
    const auto list = parsed("a\\,b\\:c:/p\\:q,d");
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].image, "a,b:c");
    EXPECT_EQ(list[0].path, "/p:q");
    EXPECT_EQ(list[1].image, "d");
}

TEST(ImageList, AFileThatExistsIsNeverSplit) {
    const auto path =
        std::filesystem::temp_directory_path() / ("squenv,list:test-" + std::to_string(::getpid()));
    std::ofstream(path) << 'x';
    const auto list = parsed(path.string());
    std::filesystem::remove(path);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].image, path.string());
}

/// HOME for as long as this lives.
class Home {
  public:
    explicit Home(const char* path) {
        if (const char* before = std::getenv("HOME")) before_ = before;
        if (path != nullptr)
            ::setenv("HOME", path, 1);
        else
            ::unsetenv("HOME");
    }
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    ~Home() {
        if (before_)
            ::setenv("HOME", before_->c_str(), 1);
        else
            ::unsetenv("HOME");
    }

  private:
    std::optional<std::string> before_;
};

TEST(ImageList, TheHomeDirectoryWhereNoShellPutsIt) {
    const Home home("/home/a,b:c");
    const auto list = parsed("a:~/envs/e,~/b:~,c:/p/~/q,d:./~,e:\\~/x");
    ASSERT_EQ(list.size(), 5U);
    EXPECT_EQ(list[0].path, "/home/a,b:c/envs/e");
    EXPECT_EQ(list[1].image, "/home/a,b:c/b");
    EXPECT_EQ(list[1].path, "/home/a,b:c");
    EXPECT_EQ(list[2].path, "/p/~/q");
    EXPECT_EQ(list[3].path, "./~");
    EXPECT_EQ(list[4].path, "~/x");
}

TEST(ImageList, HomesOfOthersAreNotGuessed) {
    const Home home("/home/u");
    for (const char* text : {"a:~bob/e", "a:~bob", "~bob/a:/e"}) {
        const auto list = parse_image_list(text);
        ASSERT_FALSE(list) << text;
        EXPECT_EQ(list.error().code, Errc::invalid_argument);
        EXPECT_NE(list.error().message().find("another user"), std::string::npos);
        EXPECT_NE(list.error().message().find("./~bob"), std::string::npos);
    }
}

TEST(ImageList, AHomeThatIsNoneIsAnError) {
    for (const char* path : {static_cast<const char*>(nullptr), "", "relative"}) {
        const Home home(path);
        const auto list = parse_image_list("a:~/e");
        ASSERT_FALSE(list);
        EXPECT_NE(list.error().message().find("HOME"), std::string::npos);
    }
}

TEST(ImageList, AColonWithoutAPathIsRefused) {
    for (const char* text : {"a.sqfs:", "a.sqfs,b.sqfs:", "a:b:"}) {
        const auto list = parse_image_list(text);
        ASSERT_FALSE(list) << text;
        EXPECT_NE(list.error().message().find("colon"), std::string::npos) << text;
    }
    EXPECT_EQ(parsed("a\\:")[0].image, "a:");
}

TEST(ImageList, AMissingImageHasAHintAtWhatSplitTheName) {
    for (const auto& [text, word] : std::vector<std::pair<std::string, std::string>>{
             {"/none/a,b.sqfs", "'\\,'"}, {"/none/a:b", "'\\:'"}}) {
        const auto resolved = resolve_images(parsed(text), {}, false);
        ASSERT_FALSE(resolved) << text;
        EXPECT_NE(resolved.error().hint.find(word), std::string::npos)
            << resolved.error().message();
    }
    const auto plain = resolve_images(parsed("/none/a"), {}, false);
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().hint.find("is written"), std::string::npos);
}

TEST(ImageList, EmptyNamesAreRefused) {
    for (const char* text : {"", ",", "a,", ",a"}) EXPECT_FALSE(parse_image_list(text)) << text;
}

}  // namespace
}  // namespace squenv::cli
