// SPDX-License-Identifier: MIT
#include "cli/image_list.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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
    const auto path = std::filesystem::temp_directory_path() / "squenv,list:test";
    std::ofstream(path) << 'x';
    const auto list = parsed(path.string());
    std::filesystem::remove(path);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].image, path.string());
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
    EXPECT_EQ(plain.error().hint, "");
}

TEST(ImageList, EmptyNamesAreRefused) {
    for (const char* text : {"", ",", "a,", ",a"}) EXPECT_FALSE(parse_image_list(text)) << text;
}

}  // namespace
}  // namespace squenv::cli
