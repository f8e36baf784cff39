// SPDX-License-Identifier: MIT
// The parts of an open image. Private to image.cpp and image_open.cpp.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "codec/codec.h"
#include "image/image.h"

namespace squenv::image {

/// In order of construction; a part that reads from another one stands after it.
struct Image::Parts {
    std::unique_ptr<ByteSource> source;
    std::array<std::byte, format::kSuperblockSize> raw_superblock{};
    std::uint64_t superblock_position = 0;
    format::Superblock superblock;
    std::uint64_t offset = 0;
    std::string compressor_options;
    std::unique_ptr<codec::Decompressor> decompressor;
    std::unique_ptr<MetadataStore> metadata;
    MetadataRegion inode_region{};
    std::unique_ptr<LookupTable> fragments;
    std::unique_ptr<LookupTable> export_table;
    std::unique_ptr<LookupTable> xattr_sets;
    std::vector<std::uint32_t> ids;
    std::unique_ptr<Directories> directories;
    std::unique_ptr<BlockLists> block_lists;
    std::unique_ptr<BlockCache> blocks;
    std::unique_ptr<FileData> data;
    Xattrs xattrs;
    Inode root;

    [[nodiscard]] Status open(const OpenOptions& options);
    [[nodiscard]] Result<Inode> inode(const format::Reference& reference) const;

  private:
    ByteVector head;  ///< the first bytes of the image

    [[nodiscard]] Status read_head();
    [[nodiscard]] Status read_superblock();
    [[nodiscard]] Status read_compressor_options();
    [[nodiscard]] Status open_tables();
    [[nodiscard]] Status open_xattrs();
    [[nodiscard]] Status read_ids();
    void make_readers(std::size_t cache_bytes);
};

}  // namespace squenv::image
