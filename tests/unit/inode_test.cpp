// SPDX-License-Identifier: MIT
#include "format/inode.h"

#include <gtest/gtest.h>

#include "base/little_endian.h"
#include "format/posix.h"

namespace squenv::format {
namespace {

Superblock inode_superblock() {
    Superblock sb;
    sb.inode_count = 1000;
    sb.id_count = 4;
    sb.block_size = 4096;
    sb.block_log = 12;
    sb.fragment_count = 5;
    sb.bytes_used = 1 << 20;
    sb.directory_table_start = 1 << 19;
    return sb;
}

InodeRecord basic(InodeType type, bool is_extended = false) {
    InodeRecord inode;
    inode.type = type;
    inode.is_extended = is_extended;
    inode.mode = 06755;
    inode.uid_index = 3;
    inode.gid_index = 1;
    inode.mtime = 0xFFFFFFFF;
    inode.number = 1000;
    if (is_extended) inode.xattr_index = 17;
    return inode;
}

Result<InodeRecord> reparse(const InodeRecord& inode, const std::string& target = {},
                            const Superblock& sb = inode_superblock()) {
    const ByteVector bytes = encode_inode(inode, {}, target, {});
    SQUENV_TRY_ASSIGN(const std::size_t size, inode_fixed_size(bytes));
    return parse_inode(ByteView(bytes).first(size), sb);
}

void expect_same(const InodeRecord& inode, const std::string& target = {}) {
    const auto parsed = reparse(inode, target);
    ASSERT_TRUE(parsed) << parsed.error().message();
    InodeRecord again = *parsed;
    // The xattr index of a symlink is stored behind its target, outside the fixed part.
    if (inode.type == InodeType::symlink) again.xattr_index = inode.xattr_index;
    EXPECT_EQ(encode_inode(again, {}, target, {}), encode_inode(inode, {}, target, {}));
}

TEST(InodeRecord, EveryTypeComesBackAsItWas) {
    for (const bool is_extended : {false, true}) {
        SCOPED_TRACE(is_extended);
        InodeRecord directory = basic(InodeType::directory, is_extended);
        directory.nlink = 7;
        directory.size_bytes = is_extended ? 0xFFFFFFFC : 0xFFFC;
        directory.listing_block = 1000;
        directory.listing_offset = 8191;
        directory.parent_number = 12;
        expect_same(directory);

        InodeRecord file = basic(InodeType::file, is_extended);
        file.blocks_start = 96;
        file.size_bytes = is_extended ? kMaxFileSize : 0xFFFFFFFF;
        file.sparse_bytes = is_extended ? 4096 : 0;
        if (is_extended) file.nlink = 3;
        expect_same(file);
        file.size_bytes = 4097;
        file.fragment_index = 4;
        file.fragment_offset = 4095;
        expect_same(file);

        InodeRecord symlink = basic(InodeType::symlink, is_extended);
        const std::string target(kMaxSymlinkTarget, 't');
        symlink.size_bytes = target.size();
        expect_same(symlink, target);

        for (const auto type : {InodeType::block_device, InodeType::char_device}) {
            InodeRecord device = basic(type, is_extended);
            device.device = 0xFFFFFFFF;
            expect_same(device);
        }
        for (const auto type : {InodeType::fifo, InodeType::socket})
            expect_same(basic(type, is_extended));
    }
}

TEST(InodeRecord, TypesThatDoNotExist) {
    for (const unsigned type : {0U, 15U, 16U, 255U, 65535U}) {
        ByteVector header(kInodeHeaderSize);
        header[0] = static_cast<std::byte>(type & 0xFF);
        header[1] = static_cast<std::byte>(type >> 8);
        EXPECT_EQ(inode_fixed_size(header).error().code, Errc::corrupt) << type;
    }
}

template <class Change>
void expect_corrupt(InodeType type, Change change, const char* what) {
    InodeRecord inode = basic(type);
    change(inode);
    const auto parsed = reparse(inode, std::string(inode.size_bytes % 100000, 'x'));
    ASSERT_FALSE(parsed) << what;
    EXPECT_EQ(parsed.error().code, Errc::corrupt) << what;
}

TEST(InodeRecord, LimitsOfTheHeader) {
    expect_corrupt(
        InodeType::fifo, [](auto& inode) { inode.number = 0; }, "number 0");
    expect_corrupt(
        InodeType::fifo, [](auto& inode) { inode.number = 1001; }, "number");
    expect_corrupt(
        InodeType::fifo, [](auto& inode) { inode.uid_index = 4; }, "uid");
    expect_corrupt(
        InodeType::fifo, [](auto& inode) { inode.gid_index = 4; }, "gid");
    expect_corrupt(
        InodeType::fifo, [](auto& inode) { inode.mode = 0100644; }, "type bits");
}

TEST(InodeRecord, LimitsOfFiles) {
    const auto tail = [](auto& inode) {
        inode.size_bytes = 100;
        inode.fragment_index = 0;
    };
    expect_corrupt(
        InodeType::file, [&](auto& i) { tail(i), i.fragment_index = 5; }, "fragment");
    expect_corrupt(
        InodeType::file, [&](auto& i) { tail(i), i.fragment_offset = 3997; }, "offset");
    expect_corrupt(
        InodeType::file, [&](auto& i) { tail(i), i.fragment_offset = ~0U; }, "offset");
    expect_corrupt(
        InodeType::file, [&](auto& i) { tail(i), i.size_bytes = 8192; }, "no tail");
    expect_corrupt(
        InodeType::file, [&](auto& i) { tail(i), i.size_bytes = 0; }, "empty");
    expect_corrupt(
        InodeType::file,
        [](auto& inode) {
            inode.is_extended = true;
            inode.size_bytes = 1ULL << 63;
        },
        "negative size");
    expect_corrupt(
        InodeType::file,
        [](auto& inode) {
            inode.size_bytes = 1;
            inode.blocks_start = (1 << 20) + 1;
        },
        "start");
}

TEST(InodeRecord, LimitsOfDirectoriesAndSymlinks) {
    expect_corrupt(
        InodeType::directory,
        [](auto& inode) {
            inode.size_bytes = 10;
            inode.listing_offset = 8192;
        },
        "offset");
    expect_corrupt(
        InodeType::directory,
        [](auto& inode) {
            inode.size_bytes = 10;
            inode.listing_block = 1 << 19;
        },
        "block");
    expect_corrupt(
        InodeType::symlink, [](auto& inode) { inode.size_bytes = 0; }, "empty");
    expect_corrupt(
        InodeType::symlink, [](auto& inode) { inode.size_bytes = 4096; }, "long");
}

TEST(InodeRecord, SmallDirectorySizesAreEmptyDirectories) {
    for (std::uint16_t stored = 0; stored <= 3; ++stored) {
        ByteVector bytes = encode_inode(basic(InodeType::directory), {}, {}, {});
        bytes[24] = static_cast<std::byte>(stored);
        EXPECT_EQ(parse_inode(bytes, inode_superblock()).value().size_bytes, 0U) << stored;
    }
}

TEST(InodeRecord, BlockCountsDoNotOverflow) {
    InodeRecord file = basic(InodeType::file);
    const auto count = [&](std::uint64_t size, bool has_fragment) {
        file.size_bytes = size;
        file.fragment_index = has_fragment ? 0 : kNoFragment;
        return file.block_count(4096);
    };
    EXPECT_EQ(count(0, false), 0U);
    EXPECT_EQ(count(1, false), 1U);
    EXPECT_EQ(count(4096, false), 1U);
    EXPECT_EQ(count(4097, false), 2U);
    EXPECT_EQ(count(4097, true), 1U);
    EXPECT_EQ(count(1, true), 0U);
    EXPECT_EQ(count(~0ULL, false), ~0ULL / 4096 + 1);
}

TEST(InodeRecord, WhatFollowsTheFixedPart) {
    InodeRecord file = basic(InodeType::file);
    const ByteVector with_words = encode_inode(file, {1, 0x01001000}, {}, {});
    ASSERT_EQ(with_words.size(), 40U);
    EXPECT_EQ(load<Le32>(ByteView(with_words).subspan(36)), 0x01001000U);
    InodeRecord directory = basic(InodeType::directory, true);
    directory.index_count = 1;
    const ByteVector with_index = encode_inode(directory, {}, {}, {{5, 6, "name"}});
    ASSERT_EQ(with_index.size(), 40U + 12U + 4U);
    EXPECT_EQ(load<Le32>(ByteView(with_index).subspan(48)), 3U);
}

TEST(Posix, DeviceNumbersKeepMajorAndMinor) {
    for (const auto& [high, low] :
         {std::pair{8U, 1U}, std::pair{4095U, 0xFFFFFU}, std::pair{1U, 256U}, std::pair{0U, 0U}}) {
        const dev_t device = makedev(high, low);
        EXPECT_EQ(decode_device(encode_device(device)), device) << high << ':' << low;
    }
    EXPECT_EQ(encode_device(makedev(8, 1)), 0x0801U);
    EXPECT_EQ(type_bits(InodeType::socket), static_cast<mode_t>(S_IFSOCK));
    EXPECT_EQ(type_bits(InodeType::block_device), static_cast<mode_t>(S_IFBLK));
}

TEST(Reference, ComesBackAsItWas) {
    for (const std::uint64_t raw :
         {std::uint64_t{0}, std::uint64_t{0x0000'1234'5678'1FFF}, ~std::uint64_t{0}})
        EXPECT_EQ(Reference::from_raw(raw).raw(), raw);
}

}  // namespace
}  // namespace squenv::format
