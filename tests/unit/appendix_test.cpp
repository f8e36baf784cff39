// SPDX-License-Identifier: MIT
#include "appendix/appendix.h"

#include <gtest/gtest.h>

#include <random>

#include "appendix/hot_list.h"
#include "appendix/manifest.h"
#include "base/little_endian.h"

namespace squenv::appendix {
namespace {

Appendix example() {
    Appendix appendix;
    appendix.manifest.mount_point = "/home/user/.venv";
    appendix.manifest.tool_version = "0.1.0";
    appendix.manifest.codec = "zstd";
    appendix.manifest.level = 3;
    appendix.manifest.block_size = 131072;
    appendix.manifest.python_version = "3.11.2";
    appendix.manifest.python_home = "/usr/bin";
    appendix.manifest.is_relocatable = true;
    using Kind = HotItem::Kind;
    appendix.hot = {{Kind::directory, ".", 0, 0, 0},
                    {Kind::range, {}, 0x12345678, 1 << 20, 131072},
                    {Kind::missing, "lib/none", 0, 0, 0}};
    appendix.digests = {{0, 100, sha256_of(as_bytes("a"))},
                        {100, 70000, sha256_of(as_bytes("b"))},
                        {std::uint64_t{1} << 40, 1, sha256_of(as_bytes("c"))}};
    return appendix;
}

/// An image of `used` zero bytes, followed by `appendix`.
ByteVector image_with(const ByteVector& appendix, std::uint64_t used) {
    ByteVector image(position_of(used));
    append(image, appendix);
    return image;
}

ReadExact reader_of(const ByteVector& image) {
    return [&image](std::uint64_t position, MutableBytes out) -> Status {
        if (position > image.size() || out.size() > image.size() - position)
            return fail(Errc::io, "behind the end");
        std::memcpy(out.data(), image.data() + position, out.size());
        return {};
    };
}

TEST(Appendix, ComesBackAsItWas) {
    const auto parsed = parse(encode(example()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, example());
    const auto empty = parse(encode(Appendix{}));
    ASSERT_TRUE(empty);
    EXPECT_EQ(*empty, Appendix{});
}

TEST(Appendix, KeepsWhatItWasCreatedFrom) {
    Appendix appendix = example();
    appendix.manifest.creation = {"squenv create -r 'a b.txt'",
                                  {{"a b.txt", "numpy==2.0\n", "00ff"}, {"einops", "", ""}},
                                  {"uv 0.9.2"}};
    const auto parsed = parse(encode(appendix));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, appendix);
}

TEST(Appendix, BoundsWhatItWasCreatedFrom) {
    Appendix appendix = example();
    Creation& creation = appendix.manifest.creation;
    creation.command = "squenv create";
    // A character of two bytes would be cut in the middle; one of control takes six bytes in JSON.
    creation.inputs = {{"one", std::string(3, '\x01') + "\u00e9", "aa"},
                       {"two", std::string(2 * kMaxCreationBytes, '\x01'), "bb"}};
    for (int i = 0; i < 40; ++i) creation.inputs[0].text += creation.inputs[0].text.substr(0, 5);
    creation.tools.assign(2 * kMaxCreationItems, "tool");
    const auto parsed = parse(encode(appendix));
    ASSERT_TRUE(parsed) << parsed.error().message();
    const Creation& kept = parsed->manifest.creation;
    EXPECT_EQ(kept.tools.size(), kMaxCreationItems);
    EXPECT_EQ(kept.inputs[0], creation.inputs[0]);
    EXPECT_EQ(kept.inputs[1].sha256, "bb");
    EXPECT_LT(kept.inputs[1].text.size(), kMaxCreationBytes);
    EXPECT_GT(kept.inputs[1].text.size(), kMaxCreationBytes / 2);
}

TEST(Appendix, CutsTextBetweenCharacters) {
    Appendix appendix = example();
    Creation& creation = appendix.manifest.creation;
    creation.command = "c";
    creation.inputs = {{"", {}, ""}};
    while (creation.inputs[0].text.size() <= kMaxCreationBytes) creation.inputs[0].text += "\u00e9";
    const auto parsed = parse(encode(appendix));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->manifest.creation.inputs[0].text.size(), kMaxCreationBytes - 2);
}

TEST(Appendix, IsFoundBehindTheImage) {
    for (const std::uint64_t used : {96U, 4095U, 4096U, 4097U, 10000U}) {
        const ByteVector image = image_with(encode(example()), used);
        const auto loaded = load(used, image.size(), reader_of(image));
        ASSERT_TRUE(loaded) << loaded.error().message();
        ASSERT_TRUE(*loaded);
        EXPECT_EQ(**loaded, example());
        const auto manifest = load_manifest(used, image.size(), reader_of(image));
        ASSERT_TRUE(manifest) << manifest.error().message();
        EXPECT_EQ(*manifest, example().manifest);
    }
}

TEST(Appendix, TheManifestIsReadWithoutTheRest) {
    const ByteVector image = image_with(encode(example()), 96);
    const auto manifest_end =
        position_of(96) + kHeaderSize + parse_header(encode(example())).value()->manifest_size;
    std::uint64_t furthest = 0;
    const auto whole = reader_of(image);
    const auto manifest =
        load_manifest(96, image.size(), [&](std::uint64_t position, MutableBytes out) {
            furthest = std::max<std::uint64_t>(furthest, position + out.size());
            return whole(position, out);
        });
    ASSERT_TRUE(manifest);
    EXPECT_EQ(furthest, manifest_end);
}

TEST(Appendix, ImagesWithoutOneHaveNone) {
    for (const std::size_t extra : {0U, 1U, 79U, 4096U}) {
        const ByteVector image(8192 + extra);
        const auto loaded = load(5000, image.size(), reader_of(image));
        ASSERT_TRUE(loaded);
        EXPECT_FALSE(*loaded);
        EXPECT_FALSE(load_manifest(5000, image.size(), reader_of(image)).value());
    }
}

TEST(Appendix, EveryDamagedByteIsNoticed) {
    const ByteVector good = encode(example());
    for (std::size_t i = 8; i < good.size(); ++i) {
        ByteVector bad = good;
        bad[i] ^= std::byte{0x20};
        EXPECT_FALSE(parse(bad)) << i;
    }
    for (std::size_t size = kHeaderSize; size < good.size(); ++size)
        EXPECT_FALSE(parse(ByteView(good).first(size))) << size;
}

TEST(Appendix, ImpossibleSizesAreRefusedWithoutAllocating) {
    for (const std::size_t field : {16U, 24U, 32U}) {
        ByteVector bytes = encode(example());
        const Le64 huge(~std::uint64_t{0} / 2);
        std::memcpy(bytes.data() + field, &huge, sizeof huge);
        const ByteVector image = image_with(bytes, 96);
        EXPECT_FALSE(load(96, image.size(), reader_of(image)));
        EXPECT_FALSE(load_manifest(96, image.size(), reader_of(image)));
    }
}

TEST(Appendix, RandomBytesBehindTheMagicDoNoHarm) {
    std::mt19937 random(1);
    for (int round = 0; round < 3000; ++round) {
        ByteVector bytes = encode(example());
        for (std::size_t i = 8; i < bytes.size(); ++i)
            if (random() % 16 == 0) bytes[i] = static_cast<std::byte>(random());
        EXPECT_FALSE(parse(bytes));
    }
}

HotItem directory(std::string path) {
    HotItem item;
    item.kind = HotItem::Kind::directory;
    item.path = std::move(path);
    return item;
}

/// The list of one directory as bytes, whatever its path is.
ByteVector list_with(std::string_view path) {
    ByteVector bytes{std::byte{1}};
    append(bytes, as_bytes(path));
    bytes.push_back(std::byte{0});
    return bytes;
}

TEST(HotList, PathsStayBeneathTheRoot) {
    const std::string name(255, 'n');
    std::string deep = "d";
    while (deep.size() + 2 <= 4095) deep += "/d";
    for (const std::string& path :
         {std::string("."), std::string("a"), std::string("a/b.c/..d/...e"), std::string(".hidden"),
          std::string("a\nb"), name, name + "/" + name, deep}) {
        const auto parsed = parse_hot_list(list_with(path));
        ASSERT_TRUE(parsed) << path;
        EXPECT_EQ(*parsed, std::vector{directory(path)});
        EXPECT_EQ(encode_hot_list(*parsed), list_with(path));
    }
    for (const std::string& path :
         {std::string(), std::string("/"), std::string("/etc"), std::string(".."),
          std::string("../x"), std::string("a/.."), std::string("a/../../etc"),
          std::string("a/./b"), std::string("./a"), std::string("a/."), std::string("a//b"),
          std::string("a/"), std::string("//etc"), name + "n", "a/" + name + "n", deep + "/d",
          deep + "/dd"}) {
        const auto parsed = parse_hot_list(list_with(path));
        ASSERT_FALSE(parsed) << path;
        EXPECT_EQ(parsed.error().code, Errc::corrupt);
        EXPECT_TRUE(encode_hot_list({directory(path)}).empty()) << path;
    }
}

TEST(HotList, AnItemThatAReaderRefusesDoesNotSpoilTheOthers) {
    EXPECT_EQ(encode_hot_list({directory("a/../b"), directory("c"), directory("/d")}),
              list_with("c"));
}

TEST(HotList, MoreItemsThanARecorderKeepsAreLeftOut) {
    const std::vector<HotItem> items(kMaxHotItems + 10, directory("d"));
    const ByteVector written = encode_hot_list(items);
    EXPECT_EQ(written.size(), kMaxHotItems * 3);
    ByteVector longer = written;
    append(longer, list_with("e"));
    append(longer, as_bytes("and no list behind"));
    const auto parsed = parse_hot_list(longer);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->size(), kMaxHotItems);
    EXPECT_EQ(parsed->capacity(), kMaxHotItems);
    EXPECT_EQ(encode_hot_list(*parsed), written);
}

TEST(HotList, MoreBytesThanARecorderKeepsAreLeftOut) {
    const HotItem item = directory(std::string(200, 'x') + '/' + std::string(99, 'y'));
    const std::size_t fitting = kMaxHotListBytes / list_with(item.path).size();
    const ByteVector written = encode_hot_list(std::vector<HotItem>(fitting + 10, item));
    EXPECT_EQ(written.size(), fitting * list_with(item.path).size());
    ByteVector longer;
    for (std::size_t i = 0; i < 3 * fitting; ++i) append(longer, list_with(item.path));
    const auto parsed = parse_hot_list(longer);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->size(), fitting);
    // Damage in front of the cut is damage all the same.
    longer[kMaxHotListBytes / 2 / 302 * 302] = std::byte{77};
    EXPECT_FALSE(parse_hot_list(longer));
}

TEST(HotList, ALongOneIsReadUpToItsBound) {
    // As earlier versions wrote it: the header promises more than a reader takes.
    ByteVector list;
    while (list.size() < 3 * kMaxHotListBytes) append(list, list_with("directory/of/a/tree"));
    ByteVector bytes = encode(Appendix{});
    const auto manifest_bytes = parse_header(bytes).value()->manifest_size;
    const Le64 size(list.size());
    std::memcpy(bytes.data() + 24, &size, sizeof size);
    append(bytes, list);
    const ByteVector image = image_with(bytes, 96);
    std::uint64_t furthest = 0;
    const auto whole = reader_of(image);
    const auto loaded =
        load_hot_list(96, image.size(), [&](std::uint64_t position, MutableBytes out) {
            furthest = std::max<std::uint64_t>(furthest, position + out.size());
            return whole(position, out);
        });
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->size(), std::min(kMaxHotItems, kMaxHotListBytes / 21));
    EXPECT_LE(furthest, position_of(96) + kHeaderSize + manifest_bytes + kMaxHotListBytes + 1);
}

TEST(Manifest, IgnoresWhatItDoesNotKnow) {
    const auto manifest = parse_manifest(R"({"mount_point": "/a", "later": [1, {}], "python": 3})");
    ASSERT_TRUE(manifest);
    EXPECT_EQ(manifest->mount_point, "/a");
    EXPECT_EQ(manifest->python_version, "");
}

TEST(Manifest, RefusesWhatIsNoObject) {
    for (const char* text : {"", "[]", "1", "{", "nonsense", "{\"mount_point\":\"\\u0000\"}"})
        EXPECT_FALSE(parse_manifest(text)) << text;
    EXPECT_FALSE(parse_manifest(std::string(100000, '[')));
    EXPECT_FALSE(parse_manifest("{\"a\":" + std::string(100000, '[')));
}

TEST(Manifest, KeepsPathsThatAreNotUtf8Readable) {
    Manifest manifest;
    manifest.mount_point = "/home/\xff";
    EXPECT_TRUE(parse_manifest(encode_manifest(manifest)));
}

}  // namespace
}  // namespace squenv::appendix
